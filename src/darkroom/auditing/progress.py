"""Progress with the time left, on standard error: bars, lines of a log, or a notebook's output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int, int], None]
"""Told how much is done, and of how much in all."""


def _ignore(done: int, total: int) -> None:
    pass


class Reporter:
    """Shows each stage of a long job; silent where nobody is looking.

    In a terminal a stage is a moving bar, in a notebook a line that is rewritten in place, which
    needs no widgets, and in a log, as of continuous integration, one line when it ends and one
    every half minute before.

    >>> with Reporter(shown=False).stage("training") as advance:
    ...     advance(1, 2)
    """

    def __init__(
        self,
        *,
        shown: bool = True,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Writes to standard error, or nowhere.

        Args:
            shown: Whether to write at all.
            console: Where to, and what kind of place it is; standard error unless told.
            clock: Tells seconds.
        """
        self._shown = shown
        self._console = console or Console(file=sys.stderr)
        self._clock = clock

    @contextmanager
    def stage(self, title: str) -> Iterator[Advance]:
        """Shows a stage while the block runs; the function it gives says how far it is."""
        if not self._shown:
            yield _ignore
        elif self._console.is_jupyter:
            with _lines(title, self._clock, _Rewritten().write, seconds=0.3) as advance:
                yield advance
        elif not self._console.is_terminal:
            with _lines(title, self._clock, self._write, seconds=30) as advance:
                yield advance
        else:
            with _bar(title, self._console) as advance:
                yield advance

    def _write(self, line: str) -> None:
        self._console.file.write(f"{line}\n")
        self._console.file.flush()


class _Rewritten:
    """A line in a notebook's output."""

    def __init__(self) -> None:
        self._handle: Any = None

    def write(self, line: str) -> None:
        """Shows the line in the place of the last one."""
        display = sys.modules["IPython.display"].display  # every notebook has it imported
        shown = {"text/plain": line}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


@contextmanager
def _lines(
    title: str, clock: Callable[[], float], write: Callable[[str], None], seconds: float
) -> Iterator[Advance]:
    """Writes a line at the end, and before it at most one in so many seconds."""
    begun = last = clock()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last < seconds or not 0 < done < total:
            return
        last = now
        left = (now - begun) * (total - done) / done
        write(f"{title}: {done / total:.0%}, {_minutes(now - begun)}, {_minutes(left)} left")

    yield advance
    write(f"{title}: 100%, {_minutes(clock() - begun)}")


def _minutes(seconds: float) -> str:
    """Writes a duration.

    >>> _minutes(75.2), _minutes(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _bar(title: str, console: Console) -> Iterator[Advance]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", justify="left", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bars:
        task = bars.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bars.update(task, completed=min(done, total), total=total)

        try:
            yield advance
        except BaseException:
            # Takes the bar away, so that the one line that says what is wrong stands alone.
            bars.live.transient = True
            bars.live.stop()
            bars.disable = True
            raise
        total = bars.tasks[0].total or 1
        bars.update(task, completed=total, total=total)
