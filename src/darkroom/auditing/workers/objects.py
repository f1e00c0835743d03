"""Several processes of one machine that share the cells of a run that was begun in Python.

There is no plan that they could read, so model and data are sent to them, as joblib sends objects.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass

from darkroom.auditing.progress import Reporter
from darkroom.auditing.threads import THREADS
from darkroom.auditing.workers.base import PAUSE, Work, require_locks, share
from darkroom.errors import RunError, one_line


@dataclass(frozen=True)
class ObjectProcesses:
    """Processes that are sent a job; see :class:`.base.Workers`.

    Attributes:
        count: How many.
        join: Works on the run; is sent with all that it holds.
    """

    count: int
    join: Callable[[], None]

    @property
    def threads(self) -> int:
        """An even share of the processors."""
        return share(self.count)

    def run(self, work: Work, threads: int, reporter: Reporter) -> None:
        """Sends them the job, and waits until every cell is there; see :meth:`.base.Workers.run`.

        Raises:
            RunError: If the model or the data cannot be sent, or a process was ended.
        """
        from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

        require_locks(work.store)
        if not work.missing:
            return
        count = min(self.count, work.left)
        pool = ProcessPoolExecutor(count, env={THREADS: str(threads)})
        try:
            begun = [pool.submit(self.join) for _ in range(count)]
            with reporter.stage(f"Cells, {count} workers") as advance:
                while not all(one.done() for one in begun):
                    advance(work.parts - work.left, work.parts)
                    time.sleep(PAUSE)
            for one in begun:
                one.result()
        except pickle.PicklingError as error:
            why = one_line(error.__cause__ or error)
            raise RunError(
                f"workers: model or data cannot be sent to them ({why}): leave out workers"
            ) from error
        except BrokenProcessPool as error:
            raise RunError(
                f"workers: {one_line(error)}: see to that, then go on with resume=True"
            ) from error
        finally:
            pool.shutdown(wait=True, kill_workers=True)
        if left := len(work.missing):
            raise RunError(f"{left} cells are missing: go on with resume=True")
