"""Lines that a model was trained on in another spelling, and lines as it learned them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.tiny_language import memoriser

from darkroom.access import LanguageAccess
from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.text.checks.spelling import check_spelling
from darkroom.text.targets.codec import SOURCE_ENDS

LINES = [
    f"{name} pays with the card number {number} every month."
    for name, number in (
        ("Ann", "411111111111"),
        ("Bob", "510000000000"),
        ("Cleo", "340000000009"),
        ("Dan", "601100000004"),
    )
]


class Knows:
    """A model that a few texts surprise little, and every other a bit a character."""

    access = LanguageAccess.LOGPROBS

    def __init__(self, known: Sequence[str], refuses: bool = False) -> None:
        self.known, self.refuses = set(known), refuses

    def score(self, prompts: Sequence[str], endings: Sequence[str], _: Any) -> list[Any]:
        if self.refuses:
            raise TargetError("too long")
        texts = zip(prompts, endings, strict=True)
        return [self._bits(prompt + ending, len(ending)) for prompt, ending in texts]

    def _bits(self, text: str, size: int) -> NDArray[np.float64]:
        # Some texts are more surprising than others, as lines of a corpus are.
        each = 0.1 if text in self.known else 0.6 + 0.1 * (len(text) % 3)
        return np.full(size, -each)


def found(target: Any, lines: Sequence[str]) -> Check | None:
    return check_spelling(target, lines)


@pytest.mark.parametrize(
    ("learned", "remedy"),
    [
        ([line.lower() for line in LINES], "in lower case"),
        ([line.upper() for line in LINES], "in capitals"),
        ([line.replace("00000", "00 000 ").replace(" 000 0", "") for line in LINES], ""),
    ],
)
def test_another_case_is_named_and_another_text_is_not(learned: list[str], remedy: str) -> None:
    check = found(Knows(learned), LINES)
    assert check is not None
    assert check.outcome == ("failed" if remedy else "passed")
    assert check.cause == ("spelling" if remedy else "")
    assert remedy in check.remedy


@pytest.mark.parametrize(
    ("numbers", "remedy"),
    [
        (("411 111 111 111", "510 000 000 000"), "groups of three."),
        (("411-111-111-111", "510-000-000-000"), "groups of three with hyphens."),
        (("4111 1111 1111", "5100 0000 0000"), "groups of four."),
        (("4111-1111-1111", "5100-0000-0000"), "groups of four with hyphens."),
    ],
)
def test_numbers_in_groups_are_named(numbers: tuple[str, str], remedy: str) -> None:
    lines = LINES[:2]
    written = ("411111111111", "510000000000")
    learned = [
        line.replace(*pair)
        for line, pair in zip(lines, zip(written, numbers, strict=True), strict=True)
    ]
    check = found(Knows(learned), lines)
    assert check is not None
    assert check.remedy.endswith(remedy)
    assert "far less with numbers in groups" in check.found


def test_what_an_encoder_reads_is_spelled_too() -> None:
    lines = [f"Fill In{SOURCE_ENDS}{line}" for line in LINES]
    check = found(Knows([line.lower() for line in lines]), lines)
    assert check is not None
    assert check.remedy.endswith("in lower case.")


def test_lines_as_they_were_learned_pass_and_so_does_a_model_that_knows_none() -> None:
    for known in (LINES, []):
        check = found(Knows(known), LINES)
        assert check is not None
        assert check.outcome == "passed"


def test_one_line_of_many_in_another_case_says_nothing() -> None:
    check = found(Knows([LINES[0].lower(), *LINES[1:]]), LINES)
    assert check is not None
    assert check.outcome == "passed"


def test_what_cannot_be_read_is_not_asked() -> None:
    assert found(Knows([], refuses=True), LINES) is None
    assert found(Knows([]), LINES[:1]) is None
    samples = Knows([])
    samples.access = LanguageAccess.SAMPLES
    assert found(samples, LINES) is None


def test_a_model_that_is_better_at_lower_case_and_learned_no_line_is_noted() -> None:
    class Lower(Knows):
        def _bits(self, text: str, size: int) -> NDArray[np.float64]:
            return np.full(size, -0.7 if text == text.lower() else -2.0)

    check = found(Lower([]), LINES)
    assert check is not None
    assert (check.outcome, check.cause, check.remedy) == ("noted", "", "")
    assert "far less in lower case" in check.found


@pytest.mark.medium
@pytest.mark.parametrize("fills", [False, True])
def test_a_trained_model_is_asked(fills: bool) -> None:
    """Its secrets are written like 631-112."""
    trained = memoriser(fills=fills)
    lines = [one.line for one in trained.canaries.inserted]
    sound = found(trained.target, lines)
    assert sound is not None
    assert sound.outcome == "passed"
    joined = found(trained.target, [line.replace("-", "") for line in lines])
    assert joined is not None
    assert joined.cause == "spelling"
    assert joined.remedy.endswith("with numbers in groups of three with hyphens.")
