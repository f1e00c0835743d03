"""What whoever runs the cells of an audit in the place of its own process must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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


class Workers(Protocol):
    """Processes that work on a run until it is done."""

    @property
    def threads(self) -> int:
        """How many threads each takes unless it is told otherwise."""

    def run(self, store: Store, keys: Sequence[str], threads: int, reporter: Reporter) -> None:
        """Has every cell run.

        Args:
            store: The run, which has begun.
            keys: Its cells.
            threads: How many each process takes.
            reporter: Shows how many are done.

        Raises:
            RunError: If cells are missing in the end.
        """


def share(count: int) -> int:
    """Returns the threads of each of so many processes that share the processors evenly."""
    return max(1, cores() // count)


def missing(store: Store, keys: Sequence[str]) -> int:
    """Returns how many cells are not there yet."""
    return sum(not store.has_cell(key) for key in keys)


def require_locks(store: Store) -> None:
    """Refuses a run whose cells two processes could run at once.

    Raises:
        RunError: If its file system knows no locks.
    """
    if not has_locks(store.folder):
        raise RunError(f"{store.folder}: {WITHOUT_LOCKS}")
