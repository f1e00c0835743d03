"""Who works on which cell of a run: one process each, until it is done or the process ends."""

from __future__ import annotations

import datetime
import json
import os
import platform
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import ValidationError

from darkroom.auditing.record import Record
from darkroom.auditing.store import Store
from darkroom.files import is_leased, leased, refused

PAUSE = 0.5
"""Seconds between looks at cells that others work on."""

GUARDED = "guarded"
"""The claim on all cells that ask a guard: they share its budgets, so one process asks."""


ASKED = "asked.json"
"""The file beside claims that says what a server was asked; see ``darkroom.remote``."""


class Holder(Record):
    """Who works on a cell, or on a block of one.

    Attributes:
        host: The machine.
        process: The process there.
        since: When it began.
    """

    host: str
    process: int
    since: datetime.datetime


def holder_of(lease: Path) -> Holder | None:
    """Returns who holds a lease now; ``None`` where nobody does, or has only just begun."""
    if not is_leased(lease):
        return None
    try:
        return Holder.model_validate_json(lease.read_bytes())
    except (OSError, ValidationError):
        return None  # done in this moment


@contextmanager
def held(lease: Path) -> Iterator[bool]:
    """Holds a lease while the block runs, and says in it who does; tells whether nobody else has.

    Args:
        lease: Its file; see :func:`darkroom.files.leased`.

    Raises:
        RunError: If it cannot be written.
    """
    with leased(lease) as file:
        if file is not None:
            now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
            holder = Holder(host=platform.node(), process=os.getpid(), since=now)
            try:
                os.truncate(file, 0)
                os.write(file, holder.model_dump_json().encode())
            except OSError as error:
                raise refused(lease, error) from error
        yield file is not None


class Claims:
    """Leases on the cells of a run; see :func:`darkroom.files.leased`.

    Attributes:
        folder: Where they are, in the run's folder.
    """

    def __init__(self, store: Store) -> None:
        """Points at the claims of a run."""
        self._store = store
        self.folder = store.folder / "claims"

    @contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Claims a cell while the block runs; tells whether nobody else has.

        Args:
            name: The cell's key.

        Raises:
            RunError: If the folder cannot be written to.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with held(self.folder / f"{name}.json") as mine:
            yield mine

    def holders(self) -> dict[str, Holder]:
        """Returns who works on which cells now, by key."""
        leases = sorted(self.folder.glob("*.json"))
        return {path.stem: holder for path in leases if (holder := holder_of(path))}

    def rows_asked(self) -> int | None:
        """Returns the rows that all processes have sent a server; ``None`` where none is asked."""
        try:
            return int(json.loads((self.folder / ASKED).read_bytes())["rows"])
        except (OSError, ValueError, KeyError):
            return None

    def missing(
        self,
        wanted: Callable[[], Sequence[str]],
        guarded: Collection[str],
        assist: Callable[[str], bool] = lambda key: False,  # noqa: ARG005
    ) -> Generator[str, None, None]:
        """Yields the keys of cells to run, each claimed until the next is asked for.

        Ends when no cell is missing. While others work on all that are, it assists them, or waits:
        what one of them gives back by a crash is yielded too.

        Args:
            wanted: Returns the keys that the run names now, in the order in which they are run.
            guarded: Those that ask a guard.
            assist: Does a part of a cell that another process has; tells whether there was one.

        Raises:
            RunError: If the folder cannot be written to.
        """
        store = self._store
        with ExitStack() as stack:
            asks = False
            while missing := [key for key in wanted() if not store.has_cell(key)]:
                idle = True
                for key in missing:
                    if key in guarded and not asks:
                        with ExitStack() as trial:
                            asks = trial.enter_context(self.claimed(GUARDED))
                            if not asks:
                                continue
                            stack.push(trial.pop_all())
                    with self.claimed(key) as mine:
                        if mine and not store.has_cell(key):
                            idle = False
                            yield key
                if idle and not any(assist(key) for key in missing):
                    time.sleep(PAUSE)
