"""Reading the cells of a run in tests."""

from __future__ import annotations

from typing import Any, TypeVar

from darkroom.auditing.record import Cell
from darkroom.runs import Run

C = TypeVar("C", bound=Cell)
T = TypeVar("T")


def cells_of(run: Run, kind: type[C]) -> list[C]:
    """The cells of a run, all of which are of a kind."""
    return [of_kind(kind, cell) for cell in run.cells]


def of_kind(kind: type[C], cell: Cell) -> C:
    """A cell as what it is."""
    assert isinstance(cell, kind)
    return cell


def known(value: T | None) -> T:
    """What is there, where a record allows it not to be."""
    assert value is not None
    return value


def timeless(run: Run) -> list[dict[str, Any]]:
    """The cells as JSON has them, without what differs from one time to the next."""
    cells = [cell.model_dump(mode="json") for cell in run.cells]
    for cell in cells:
        assert cell.pop("seconds") >= 0
        if cell["cost"] is not None:
            assert cell.pop("cost")["microseconds"] > 0
        training = cell["details"]["training"]
        if training is not None:
            assert training.pop("seconds") > 0
            assert training.pop("time_factor") > 0
    return cells
