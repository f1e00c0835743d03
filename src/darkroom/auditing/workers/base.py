"""What whoever runs the cells of an audit in the place of its own process must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from darkroom.auditing.progress import Reporter
from darkroom.auditing.store import Store
from darkroom.auditing.threads import cores
from darkroom.errors import RunError
from darkroom.files import has_locks

PAUSE = 0.2
"""Seconds between looks at how far workers are."""

WITHOUT_LOCKS = (
    "its file system knows no locks, so that two processes could run the same cell: put [run] out "
    "elsewhere, or run one process"
)


class Work(NamedTuple):
    """What there is to do in a run.

    Attributes:
        store: The run.
        cells: Its cells by key, each with the files of its blocks if it is cut.
    """

    store: Store
    cells: Mapping[str, Sequence[Path]]

    @property
    def missing(self) -> list[str]:
        """The cells that are not there yet."""
        return [key for key in self.cells if not self.store.has_cell(key)]

    @property
    def parts(self) -> int:
        """How many parts could be done at once: a cell, or each of its blocks."""
        return sum(max(1, len(files)) for files in self.cells.values())

    @property
    def left(self) -> int:
        """How many of those are not done."""
        return sum(
            max(1, sum(not file.exists() for file in self.cells[key])) for key in self.missing
        )


class Workers(Protocol):
    """Processes that work on a run until it is done."""

    @property
    def threads(self) -> int:
        """How many threads each takes unless it is told otherwise."""

    def run(self, work: Work, threads: int, reporter: Reporter) -> None:
        """Has every cell run.

        Args:
            work: The run, which has begun, and its cells.
            threads: How many each process takes.
            reporter: Shows how many are done.

        Raises:
            RunError: If cells are missing in the end.
        """


def share(count: int) -> int:
    """Returns the threads of each of so many processes that share the processors evenly."""
    return max(1, cores() // count)


def require_locks(store: Store) -> None:
    """Refuses a run whose cells two processes could run at once.

    Raises:
        RunError: If its file system knows no locks.
    """
    if not has_locks(store.folder):
        raise RunError(f"{store.folder}: {WITHOUT_LOCKS}")
