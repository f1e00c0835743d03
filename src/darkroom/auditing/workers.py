"""Several processes of one machine that share the cells of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.auditing.progress import Reporter
from darkroom.auditing.store import Store
from darkroom.errors import RunError
from darkroom.files import has_locks

PAUSE = 0.2
"""Seconds between looks at how far workers are."""

WITHOUT_LOCKS = (
    "its file system knows no locks, so that two processes could run the same cell: put [run] out "
    "elsewhere, or run one process"
)

THREADS = "OMP_NUM_THREADS"
"""The variable that tells PyTorch, NumPy and scikit-learn how many threads to take."""


def cores() -> int:
    """Returns how many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Workers:
    """Processes that work on a run until it is done.

    They share the processors, unless the environment says how many threads each takes. They end
    with the process that started them.

    Attributes:
        count: How many.
        command: Starts one; it works on the run, and ends when its standard input does.
    """

    count: int
    command: Sequence[str]

    def run(self, store: Store, keys: Sequence[str], reporter: Reporter) -> None:
        """Starts them, and waits until every cell is there.

        One that is killed gives its cell back to the others.

        Args:
            store: The run, which has begun.
            keys: Its cells.
            reporter: Shows how many are done.

        Raises:
            RunError: If all have ended, and cells are missing.
        """
        if not has_locks(store.folder):
            raise RunError(f"{store.folder}: {WITHOUT_LOCKS}")

        def done() -> int:
            return sum(store.has_cell(key) for key in keys)

        if done() == len(keys):
            return
        begun = [self._start() for _ in range(min(self.count, len(keys) - done()))]
        try:
            with reporter.stage(f"Cells, {len(begun)} workers") as advance:
                while any(worker.poll() is None for worker in begun):
                    advance(done(), len(keys))
                    time.sleep(PAUSE)
        finally:
            for worker in begun:
                worker.terminate()
                worker.wait()
                assert worker.stdin is not None
                worker.stdin.close()
        if done() < len(keys):
            raise RunError(_unfinished(len(keys) - done(), begun))

    def _start(self) -> subprocess.Popen[bytes]:
        threads = {THREADS: str(max(1, cores() // self.count))}
        return subprocess.Popen(  # noqa: S603 - this interpreter, with no shell
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**threads, **os.environ},
        )


def _unfinished(missing: int, ended: Sequence[subprocess.Popen[bytes]]) -> str:
    """Says how workers ended that left cells behind."""
    killed = sorted({-one.returncode for one in ended if one.returncode < 0})
    names = ", ".join(signal.Signals(number).name for number in killed)
    how = f"were ended by {names}" if killed else "ended with what is said above"
    return (
        f"{missing} cells are missing, and all workers {how}: see to that, then go on with --resume"
    )
