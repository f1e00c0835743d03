"""The check that canaries are in the training data, and controls are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from darkroom.text.canaries import Canaries, make_canaries
from darkroom.text.checks.canaries import check_canaries
from darkroom.text.formats.secrets import make_format

CANARIES = make_canaries(
    make_format(r"\d{6}"), repetitions=(1, 3), each=3, rng=np.random.default_rng(0)
)
OTHERS = make_canaries(
    make_format(r"\d{6}"), repetitions=(1, 3), each=3, rng=np.random.default_rng(1)
)
TRAINED = ["A line.", *CANARIES.training_lines(np.random.default_rng(0))]


def outcome(
    canaries: Canaries, name: str, corpus: list[str], held_out: list[str] | None = None
) -> tuple[str, str]:
    found = {one.name: one for one in check_canaries(canaries, corpus, held_out or [])}[name]
    return found.outcome, found.cause


def test_canaries_as_they_should_be() -> None:
    found = check_canaries(CANARIES, TRAINED, ["Another line."])
    assert [(one.name, one.outcome) for one in found] == [
        ("canaries", "passed"),
        ("corpus", "passed"),
        ("held-out", "passed"),
    ]
    assert [one.name for one in check_canaries(CANARIES, [], [])] == ["canaries"]


@pytest.mark.parametrize("glue", ["{}", "Before it. {} And after it.", "  {}\t"])
def test_canaries_within_longer_lines_are_found(glue: str) -> None:
    lines = [glue.format(line).replace(" ", "  ") for line in TRAINED]
    assert outcome(CANARIES, "corpus", lines) == ("passed", "")


def test_canaries_of_another_corpus() -> None:
    assert outcome(OTHERS, "corpus", TRAINED) == ("failed", "canaries not in corpus")


def test_controls_that_were_trained_on() -> None:
    lines = [*TRAINED, CANARIES.controls[0].line]
    assert outcome(CANARIES, "corpus", lines) == ("failed", "controls in corpus")
    one = replace(CANARIES.inserted[0], repetitions=0)
    mixed = replace(CANARIES, canaries=(*CANARIES.canaries, one))
    assert outcome(mixed, "canaries", []) == ("failed", "controls among the canaries")


def test_other_repetitions_and_lines_that_are_not_held_out_are_noted() -> None:
    once = list(dict.fromkeys(TRAINED))
    assert outcome(CANARIES, "corpus", once) == ("noted", "")
    assert outcome(CANARIES, "held-out", TRAINED, ["A line."]) == ("noted", "")
