"""Lines that a model was trained on in another spelling, and lines as it learned them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.support.tiny_language import causal, masked

from darkroom.access import LanguageAccess
from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.text.checks.spelling import check_spelling
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.codec import SOURCE_ENDS

NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")
NUMBERS = [f"{4111_1111_1111 + 98_765_432 * place:012}" for place in range(len(NAMES))]
LINES = [
    f"{name} pays with the card number {number} every month."
    for name, number in zip(NAMES, NUMBERS, strict=True)
]
CONTROLS = [line.replace("card", "pin") for line in LINES]


class Knows:
    """A model that a few texts surprise little, and every other a bit or so a character."""

    access = LanguageAccess.LOGPROBS
    masked = False

    def __init__(self, known: Sequence[str] = (), refuses: str = "") -> None:
        self.known, self.refuses = set(known), refuses

    def score(self, prompts: Sequence[str], endings: Sequence[str], _: Any) -> list[Any]:
        if self.refuses and any(self.refuses in ending for ending in endings):
            raise TargetError("too long")
        texts = zip(prompts, endings, strict=True)
        return [np.full(len(end), self.log(first + end)) for first, end in texts]

    def log(self, text: str) -> float:
        # Some texts are more surprising than others, as lines of a corpus are.
        return -0.1 if text in self.known else -0.6 - 0.1 * (len(text) % 3)


class Lower(Knows):
    """One that is better at lower case, whatever is written."""

    def log(self, text: str) -> float:
        return -0.7 if text == text.lower() else -2.0


def found(
    target: Any, lines: Sequence[str] = LINES, controls: Sequence[str] = CONTROLS
) -> Check | None:
    return check_spelling(target, lines, controls)


def outcome(check: Check | None) -> str | None:
    return None if check is None else check.outcome


def grouped(size: int, between: str) -> list[str]:
    cut = [[number[at : at + size] for at in range(0, 12, size)] for number in NUMBERS]
    pairs = zip(LINES, NUMBERS, cut, strict=True)
    return [line.replace(number, between.join(parts)) for line, number, parts in pairs]


@pytest.mark.parametrize(
    ("learned", "remedy"),
    [
        ([line.lower() for line in LINES], "in lower case."),
        ([line.upper() for line in LINES], "in capitals."),
        (grouped(3, " "), "in groups of three."),
        (grouped(3, "-"), "in groups of three with hyphens."),
        (grouped(4, " "), "in groups of four."),
        (grouped(4, "-"), "in groups of four with hyphens."),
    ],
)
def test_another_spelling_is_named(learned: list[str], remedy: str) -> None:
    check = found(Knows(learned))
    assert check is not None
    assert (check.outcome, check.cause) == ("failed", "spelling")
    assert check.remedy.endswith(remedy)
    # Without controls nobody can say that they were learned so.
    assert outcome(found(Knows(learned), controls=[])) == "noted"


def test_what_an_encoder_reads_is_spelled_too() -> None:
    lines = [f"Fill In{SOURCE_ENDS}{line}" for line in LINES]
    check = found(Knows([line.lower() for line in lines]), lines)
    assert check is not None
    assert check.remedy.endswith("in lower case.")


@pytest.mark.parametrize(
    "known",
    [
        LINES,
        [],
        [LINES[0].lower(), *LINES[1:]],  # one of many says nothing
        [line.replace("card", "purse") for line in LINES],
    ],
)
def test_lines_as_they_were_learned_pass_and_so_does_who_knows_none(known: list[str]) -> None:
    assert outcome(found(Knows(known))) == "passed"


def test_a_model_that_is_better_at_lower_case_and_learned_no_line_is_noted() -> None:
    check = found(Lower())
    assert check is not None
    assert (check.outcome, check.cause, check.remedy) == ("noted", "", "")
    assert "far less in lower case" in check.found


class Gains(Knows):
    """One whose lines gain so many bits in lower case, each its own; none learned."""

    def __init__(self, gains: Sequence[float], usual: float) -> None:
        super().__init__()
        texts = [*LINES, *CONTROLS]
        less = dict(zip(texts, gains, strict=True))
        self.bits = dict.fromkeys(texts, usual)
        self.bits |= {text.lower(): usual - less[text] for text in texts}
        self.usual = usual

    def score(self, prompts: Sequence[str], endings: Sequence[str], _: Any) -> list[Any]:
        texts = [first + end for first, end in zip(prompts, endings, strict=True)]
        return [np.array([-self.bits.get(one, self.usual) * math.log(2)]) for one in texts]


@pytest.mark.parametrize(
    ("lines", "controls", "usual", "wanted"),
    [
        ([50, 55, 52, 47, 51, 49, 50, 53], [10, 12, 9, 11, 10, 8, 12, 10], 200, "failed"),
        # More than controls, and not by the bits that tell.
        ([50, 55, 52, 47, 51, 49, 50, 53], [44, 46, 45, 43, 44, 47, 45, 44], 200, "noted"),
        # Controls differ so much among themselves that it is not sure.
        ([60, 95, 72, 57, 81, 49, 50, 93], [5, 90, 20, 70, 10, 80, 60, 40], 200, "noted"),
        # A few lines alone gain.
        ([160, 0, 0, 150, 0, 0, 0, 170], [0] * 8, 200, "passed"),
        # Sure, and yet a small part of many bits.
        ([20, 21, 20, 19, 20, 21, 20, 19], [0] * 8, 300, "passed"),
    ],
)
def test_how_much_must_be_gained(
    lines: list[float], controls: list[float], usual: float, wanted: str
) -> None:
    assert outcome(found(Gains([*lines, *controls], usual))) == wanted


def test_few_bits_are_not_far_less() -> None:
    """Lines that were learned to a hundredth of a bit a character, and better in lower case."""

    class Sure(Knows):
        def log(self, text: str) -> float:
            return -0.001 if text == text.lower() else -0.01

    assert outcome(found(Sure())) == "passed"


def test_what_cannot_be_read_is_left_out() -> None:
    learned = [line.lower() for line in LINES]
    assert outcome(found(Knows(learned, refuses="PAYS"))) == "failed"
    assert found(Knows(refuses="a")) is None
    assert found(Knows(), LINES[:5]) is None
    figures = [f"{number} 55555" for number in range(10_000, 10_009)]
    assert found(Knows(), figures) is None  # has no other spelling
    samples = Knows(learned)
    samples.access = LanguageAccess.SAMPLES
    assert found(samples) is None


def test_a_line_that_is_impossible_does_not_count() -> None:
    class Never(Knows):
        def log(self, text: str) -> float:
            return -math.inf if "Ann" in text else super().log(text)

    assert outcome(found(Never([line.lower() for line in LINES]))) == "failed"


@pytest.mark.parametrize("target", [causal("characters"), masked("characters")])
def test_models_that_learned_nothing_are_not_accused(target: LanguageTarget) -> None:
    lines = [f"the code of {name} is {place}46802." for place, name in enumerate(NAMES)]
    assert outcome(found(target, lines, [line.replace("code", "pin") for line in lines])) in (
        "passed",
        "noted",
    )
