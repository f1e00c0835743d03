"""Splitting rows so that activations stay within a bound."""

from __future__ import annotations

import pytest
import torch

from darkroom.images.attacks.search.memory import RowBudget


def ask(budget: RowBudget, rows: int, floats: int, weights: int = 0) -> list[int]:
    """Does work whose backward pass needs ``floats`` numbers a row; returns the chunks' sizes.

    Args:
        budget: Splits the rows.
        rows: How many there are.
        floats: What the backward pass needs of a row.
        weights: What it needs once, whatever the rows.
    """
    fixed = torch.ones(weights, requires_grad=True)
    sizes = []
    for part in budget.chunks(rows):
        sizes.append(part.stop - part.start)
        values = torch.ones(sizes[-1], floats, requires_grad=True)
        with budget.measured(sizes[-1]):
            values.exp()
            fixed.exp()
    return sizes


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 10])
@pytest.mark.parametrize("rows", [None, 1, 3, 100])
def test_chunks_cover_every_row_once(n: int, rows: int | None) -> None:
    budget = RowBudget(1)
    budget.rows = rows
    covered = [row for part in budget.chunks(n) for row in range(n)[part]]
    assert covered == list(range(n))
    assert all(0 < part.stop - part.start <= (rows or 2) for part in budget.chunks(n))


@pytest.mark.parametrize("weights", [0, 100_000])
def test_the_bound_is_the_memory_over_twice_what_a_row_saves(weights: int) -> None:
    budget = RowBudget(memory=80_000)
    ask(budget, 3, floats=1000, weights=weights)
    assert budget.rows == 80_000 // (2 * 4 * 1000)


def test_there_is_always_room_for_one_row() -> None:
    budget = RowBudget(memory=1)
    assert ask(budget, 6, floats=1000) == [1, 2, 1, 1, 1]


def test_it_is_measured_once() -> None:
    budget = RowBudget(memory=80_000)
    ask(budget, 3, floats=1000)
    ask(budget, 30, floats=10)
    assert budget.rows == 10


def test_later_chunks_are_as_large_as_measured() -> None:
    budget = RowBudget(memory=24_000)
    assert ask(budget, 10, floats=1000) == [1, 2, 3, 3, 1]
    assert ask(budget, 10, floats=1000) == [3, 3, 3, 1]


@pytest.mark.parametrize("n", [1, 2])
def test_few_rows_are_answered_before_anything_is_known(n: int) -> None:
    budget = RowBudget(memory=24_000)
    for _ in range(3):
        assert sum(ask(budget, n, floats=1000)) == n
    assert budget.rows == {1: None, 2: 3}[n]


def test_what_is_saved_twice_counts_once() -> None:
    budget = RowBudget(memory=8000)
    for rows in (1, 2):
        values = torch.ones(rows, 100, requires_grad=True)
        with budget.measured(rows):
            hidden = values.exp()
            hidden * hidden
    assert budget.rows == 8000 // (2 * 4 * 100)


def test_saving_nothing_divides_by_nothing() -> None:
    budget = RowBudget(memory=10)
    for rows in (1, 2):
        with budget.measured(rows):
            pass
    assert budget.rows == 10
