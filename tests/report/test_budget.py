"""Days are read off the curve, with their interval, and never beyond what was tried."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report.conftest import RunFolder, image_cell

from darkroom.auditing.record import Cell, CurvePoint
from darkroom.errors import PlanError
from darkroom.images.record import ImageCell
from darkroom.report.budget import Policy, Reached, answer, holdings, queries_to
from darkroom.statistics.intervals import clopper_pearson


def cell(curve: list[tuple[int, float]], goals: int = 20, **changes: Any) -> Cell:
    points = [
        CurvePoint.at(queries, clopper_pearson(round(success * goals), goals))
        for queries, success in curve
    ]
    return ImageCell.model_validate(
        {**image_cell(), "access": "scores", "goals": goals, "curve": points, **changes}
    )


RISING = [(10, 0.0), (100, 0.3), (300, 0.5), (1000, 0.7), (3000, 0.95)]


def test_half_is_read_off_with_the_interval_of_every_milestone() -> None:
    # Of 20: 6 hits reach up to 0.54, 10 hits start at 0.27, 14 at 0.46, 19 at 0.75.
    assert queries_to(cell(RISING)) == Reached(300, 100, 3000, 3000)
    assert queries_to(cell(RISING, goals=1000)) == Reached(300, 300, 1000, 3000)
    assert queries_to(cell([(10, 0.0), (100, 0.1)])) == Reached(None, None, None, 100)
    assert queries_to(cell([(100, 0.45)])) == Reached(None, 100, None, 100)


def test_the_order_of_points_does_not_matter() -> None:
    assert queries_to(cell(RISING[::-1])) == queries_to(cell(RISING))


@pytest.mark.parametrize(
    ("policy", "days"),
    [
        (Policy(10), "30 days (10 to 300)"),
        (Policy(10, accounts=10), "3 days (1 to 30)"),
        (Policy(10, accounts=10, total=10), "30 days (10 to 300)"),
        (Policy(1), "300 days (100 days to 8.2 years)"),
    ],
)
def test_days_follow_the_policy(policy: Policy, days: str) -> None:
    (held,) = holdings([cell(RISING)], policy)
    assert held.days == days
    assert days in answer([held])


def test_what_was_never_reached_is_more_than_was_tried() -> None:
    (held,) = holdings([cell([(10, 0.0), (500, 0.1)])], Policy(10))
    assert (held.queries, held.days) == ("more than 500", "more than 50 days")
    assert "no attack of this run" in answer([held])
    assert held.record()["days_to_half"] == {"queries": None, "low": None, "high": None}


@pytest.mark.parametrize(
    ("per_day", "bits"),
    [(5, "at most 0.5 bits"), (10, "0.5 bits"), (999, "2.0 bits"), (5000, "8.0 bits or more")],
)
def test_bits_of_the_first_day_are_those_within_it(per_day: int, bits: str) -> None:
    points = [
        CurvePoint.at(queries, (0.5, 0.3, 0.7), gained)
        for queries, gained in ((1000, 8.0), (10, 0.5), (100, 2.0))
    ]
    known = ImageCell.model_validate({**image_cell(), "access": "scores", "curve": points})
    (held,) = holdings([known], Policy(per_day))
    assert held.bits_a_day == held.record()["bits_a_day"] == bits
    (unknown,) = holdings([cell(RISING)], Policy(per_day))
    assert unknown.bits_a_day == ""
    assert unknown.record()["bits_a_day"] is None


def test_weights_ask_nobody() -> None:
    assert holdings([cell(RISING, access="weights")], Policy(10)) == []


def test_the_fastest_attack_answers() -> None:
    slow = cell([(10, 0.0), (5000, 1.0)], attack="policy")
    said = answer(holdings([slow, cell(RISING, attack="evolution")], Policy(10)))
    assert "evolution" in said
    assert "policy" not in said


@pytest.mark.parametrize("numbers", [(0, 1, None), (1, 0, None), (1, 1, 0), (-3, 1, None)])
def test_policies_that_let_nothing_through(numbers: tuple[int, int, int | None]) -> None:
    with pytest.raises(PlanError, match="must be 1 or more"):
        Policy(*numbers)


def test_the_report_answers_for_attacks_that_ask(run: RunFolder) -> None:
    assert "Is ten queries a day enough?" not in run.report().text
    run.cell["access"] = "scores"
    page = run.report()
    assert page.text.count("Is ten queries a day enough?") == 2
    assert "10 queries a day, 100 accounts" in page.text
    assert 'id="chart-budget-wide' in page.source
    assert "0.1 bits a day" in page.text
    assert 'id="chart-1-bits-wide' in page.source


def test_draws_that_serve_everybody_are_said_to() -> None:
    shared = cell(RISING, queries={"per_goal_median": 400.0, "total": 430})
    said = answer(holdings([shared], Policy(10)))
    assert "It asked 430 in all, because many of its questions serve all 20 people at once." in said
    apart = cell(RISING, queries={"per_goal_median": 400.0, "total": 8000})
    assert "serve all" not in answer(holdings([apart], Policy(10)))
