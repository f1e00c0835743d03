"""Progress bars with the time left, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    """Shows each stage of a long job as a bar; silent where nobody is looking.

    >>> with Reporter(shown=False).stage("training") as advance:
    ...     advance(1, 2)
    """

    def __init__(self, *, shown: bool = True) -> None:
        """Writes to standard error, or nowhere.

        Args:
            shown: Whether to write at all. Where standard error is no terminal, one line is
                written for each finished stage instead of a moving bar.
        """
        self._shown = shown
        self._console = Console(file=sys.stderr)

    @contextmanager
    def stage(self, title: str) -> Iterator[Advance]:
        """Shows a bar while the block runs; the function it gives moves the bar."""
        if not self._shown:
            yield _ignore
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", justify="left"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, refresh_per_second=4) as bars:
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
