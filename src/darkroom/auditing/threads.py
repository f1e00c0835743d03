"""How many threads a process of an audit takes, which decides results as a seed does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

THREADS = "OMP_NUM_THREADS"
"""The variable that tells PyTorch, NumPy and scikit-learn how many threads to take."""


def cores() -> int:
    """Returns how many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def told() -> int | None:
    """Returns the number of threads that the environment asks for, if it does."""
    first = os.environ.get(THREADS, "").split(",")[0]
    return int(first) if first.isdecimal() and int(first) else None


def usual() -> int:
    """Returns how many threads PyTorch would take, or how many processors there are without it."""
    torch: Any = sys.modules.get("torch")
    return cores() if torch is None else int(torch.get_num_threads())


@contextmanager
def taking(count: int) -> Iterator[None]:
    """Lets this process take so many threads while the block runs, in all its libraries.

    Those that are imported later go by the environment, which is as it was afterwards.
    """
    torch: Any = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    said = os.environ.get(THREADS)
    with _limited(count):
        os.environ[THREADS] = str(count)
        if torch is not None:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)
            if said is None:
                del os.environ[THREADS]
            else:
                os.environ[THREADS] = said


def _limited(count: int) -> AbstractContextManager[object]:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # it comes with scikit-learn
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(count)
    return limits
