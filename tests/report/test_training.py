"""What training guarantees and costs is on the page of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report.conftest import RunFolder, training
from tests.report.text.cells import text_cell

NUMBERS = (
    "dp-sgd(epsilon=7.25)",
    "Abadi et al. 2016",
    "84 seconds, 3.6 times as long as without a defence",
    "Epsilon 7.25 at delta 1e-05 for each photo",
    "noise multiplier 1.38, sample rate 0.125, 480 steps",
    "83% about a person with 20 examples in the training data",
    "21% about a photo",
    "Without the model the chance is 3.1%",
)


def trained(cell: dict[str, Any], **changes: Any) -> dict[str, Any]:
    cell["details"]["training"] = training(**changes)
    return {**cell, "defense": "dp-sgd(epsilon=7.25)"}


@pytest.mark.parametrize("cell", [RunFolder.image_cell(), text_cell(4)])
def test_bound_epsilon_and_time_are_on_the_page(run: RunFolder, cell: dict[str, Any]) -> None:
    run.cells = [trained(cell)]
    text = run.report().text
    for words in (*NUMBERS, "Epsilon, delta"):
        assert words in text, words
    assert "The bound does not hold" not in text


def test_a_bound_that_is_exceeded_is_loud(run: RunFolder) -> None:
    bound = {**training()["bound"], "exceeded": True}
    run.cells = [trained(run.image_cell(), bound=bound)]
    page = run.report()
    assert "The bound does not hold:" in page.text
    assert page.classed("alarm")


def test_without_noise_no_epsilon_is_said_to_hold(run: RunFolder) -> None:
    run.cells = [trained(run.image_cell(), privacy={**training()["privacy"], "epsilon": None})]
    text = run.report().text
    assert "None: without noise, no epsilon holds" in text
    assert "Epsilon inf" not in text


def test_the_control_is_named(run: RunFolder) -> None:
    control = {"name": "none", "defense": "none", "privacy": None, "bound": None, "paper": ""}
    run.cell["details"]["training"] = training(**control, time_factor=1.0)
    text = run.report().text
    assert "None: this is the control." in text
    assert "times as long" not in text
    assert "Epsilon" not in text


def test_a_model_that_was_given_has_no_such_section(run: RunFolder) -> None:
    assert "How the model was trained" not in run.report().text
