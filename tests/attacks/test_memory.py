"""Splitting rows so that activations stay within a bound."""

from __future__ import annotations

import pytest
import torch

from darkroom.attacks.memory import RowBudget


def measure(budget: RowBudget, rows: int, floats: int) -> None:
    """Does work whose backward pass needs ``floats`` numbers a row."""
    values = torch.ones(rows, floats, requires_grad=True)
    with budget.measured(rows):
        values.exp()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("rows", [None, 1, 3, 100])
def test_chunks_cover_every_row_once(n: int, rows: int | None) -> None:
    budget = RowBudget(1, trial=2)
    budget.rows = rows
    covered = [row for part in budget.chunks(n) for row in range(n)[part]]
    assert covered == list(range(n))
    assert all(0 < part.stop - part.start <= (rows or 2) for part in budget.chunks(n))


def test_the_bound_is_the_memory_over_twice_what_a_row_saves() -> None:
    budget = RowBudget(memory=80_000)
    measure(budget, rows=2, floats=1000)
    assert budget.rows == 80_000 // (2 * 4 * 1000)


def test_there_is_always_room_for_one_row() -> None:
    budget = RowBudget(memory=1)
    measure(budget, rows=2, floats=1000)
    assert budget.rows == 1


def test_it_is_measured_once() -> None:
    budget = RowBudget(memory=80_000)
    measure(budget, rows=2, floats=1000)
    measure(budget, rows=2, floats=10)
    assert budget.rows == 10


def test_later_chunks_are_as_large_as_measured() -> None:
    budget = RowBudget(memory=24_000, trial=2)
    sizes = []
    for part in budget.chunks(9):
        sizes.append(part.stop - part.start)
        measure(budget, sizes[-1], floats=1000)
    assert sizes == [2, 3, 3, 1]


def test_parameters_and_shared_storage_cost_a_row_nothing() -> None:
    weights = torch.nn.Parameter(torch.ones(500, 500))
    values = torch.ones(2, 500, requires_grad=True)
    budget = RowBudget(memory=2 * 4 * 500 * 12)
    with budget.measured(2):
        hidden = values @ weights
        hidden * hidden
    assert budget.rows is not None
    assert budget.rows >= 6


def test_saving_nothing_divides_by_nothing() -> None:
    budget = RowBudget(memory=10)
    with budget.measured(2):
        pass
    assert budget.rows == 20
