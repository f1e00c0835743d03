"""Several processes of one machine that share the cells of a run whose plan is in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.auditing.progress import Reporter
from darkroom.auditing.threads import THREADS
from darkroom.auditing.workers.base import PAUSE, Work, require_locks, share
from darkroom.errors import RunError


@dataclass(frozen=True)
class Processes:
    """Processes that work on a run until it is done; see :class:`.base.Workers`.

    They share the processors, unless the environment says how many threads each takes. They end
    with the process that started them.

    Attributes:
        count: How many.
        command: Starts one; it works on the run, and ends when its standard input does.
    """

    count: int
    command: Sequence[str]

    @property
    def threads(self) -> int:
        """An even share of the processors."""
        return share(self.count)

    def run(self, work: Work, threads: int, reporter: Reporter) -> None:
        """Starts them, and waits until every cell is there; see :meth:`.base.Workers.run`.

        One that is killed gives its cell back to the others.
        """
        require_locks(work.store)
        if not work.missing:
            return
        begun = [self._start(threads) for _ in range(min(self.count, work.left))]
        try:
            with reporter.stage(f"Cells, {len(begun)} workers") as advance:
                while any(worker.poll() is None for worker in begun):
                    advance(work.parts - work.left, work.parts)
                    time.sleep(PAUSE)
        finally:
            for worker in begun:
                worker.terminate()
                worker.wait()
                assert worker.stdin is not None
                worker.stdin.close()
        if left := len(work.missing):
            raise RunError(_unfinished(left, begun))

    def _start(self, threads: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this interpreter, with no shell
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, THREADS: str(threads)},
        )


def _unfinished(left: int, ended: Sequence[subprocess.Popen[bytes]]) -> str:
    """Says how workers ended that left cells behind."""
    killed = sorted({-one.returncode for one in ended if one.returncode < 0})
    names = ", ".join(signal.Signals(number).name for number in killed)
    how = f"were ended by {names}" if killed else "ended with what is said above"
    return f"{left} cells are missing, and all workers {how}: see to that, then go on with --resume"
