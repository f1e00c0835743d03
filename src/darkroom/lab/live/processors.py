"""How many processors each of the lab's threads computes on.

GNU OpenMP keeps a team of workers for every thread that computes on several. Where all teams have
more workers than there are processors, it lets them sleep between two operations instead of waiting
awake, and small operations take twice as long. So the thread that attacks has a team, and what
looks at it, or goes on beside it, computes alone. All this is of PyTorch; other libraries go by
limits of their own.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def alone(call: Callable[P, T]) -> Callable[P, T]:
    """Has a function compute on one processor, in whichever thread it is called."""
    return _limited(call, 1)


def together(call: Callable[P, T]) -> Callable[P, T]:
    """Has a function compute on as many processors as an audit would."""
    return _limited(call, None)


def _limited(call: Callable[P, T], count: int | None) -> Callable[P, T]:
    @functools.wraps(call)
    def limited(*arguments: P.args, **options: P.kwargs) -> T:
        if "torch" in sys.modules:  # which the pages of tables do without
            import torch  # waits for whoever is importing it

            usual = _usual()
            # A thread that never asked takes what another was told last, so it asks first.
            torch.get_num_threads()
            torch.set_num_threads(usual if count is None else count)
        return call(*arguments, **options)

    return limited


def _usual() -> int:
    """Returns how many threads PyTorch takes before any of the lab's was told how many."""
    with _FIRST:
        return _asked()


_FIRST = threading.Lock()


@functools.lru_cache
def _asked() -> int:
    import torch

    return torch.get_num_threads()
