"""How promises are checked, whatever part makes them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from darkroom.errors import DarkroomError
from darkroom.named import describe, identity


def require(kept: object, sentence: str) -> None:
    """Raises an ``AssertionError`` with a sentence where a promise is not kept."""
    if not kept:
        raise AssertionError(sentence)


def refuses(call: Callable[[], object], sentence: str) -> None:
    """Requires that a call raises an error of Darkroom's, which is one line."""
    try:
        call()
    except DarkroomError as error:
        require("\n" not in str(error), f"{sentence}; its error has several lines")
        return
    raise AssertionError(sentence)


def same(one: Any, other: Any) -> bool:
    """Tells whether two answers are equal, in arrays and tuples too; NaN equals NaN."""
    if isinstance(one, tuple | list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same(*pair) for pair in pairs)
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool(
            np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        )
    return bool(one == other)


def kept_apart(answers: Iterator[Any], sentence: str) -> None:
    """Requires that what was yielded stays as it was when more is yielded."""
    pairs = [(answer, copy.deepcopy(answer)) for answer in answers]
    require(all(same(*pair) for pair in pairs), sentence)


@contextmanager
def global_randomness_untouched(what: str) -> Iterator[None]:
    """Requires that a block draws from no global source of randomness."""
    before = _global_states()
    yield
    require(
        same(_global_states(), before),
        f"{what} draws from a global source of randomness: draw from the one it is given",
    )


def _global_states() -> tuple[Any, ...]:
    legacy = np.random.get_state(legacy=True)  # noqa: NPY002 - that nobody should draw from
    states: list[Any] = [random.getstate(), *legacy]
    try:
        import torch
    except ImportError:
        return tuple(states)
    return (*states, torch.random.get_rng_state().numpy())


def check_part(part: Any) -> None:
    """Requires what every part owes: a name, and parameters that a record can hold."""
    require(
        isinstance(getattr(part, "name", None), str) and part.name,
        f"{type(part).__name__} has no name",
    )
    told = identity(part)
    require(json.loads(json.dumps(told)) == told, f"{part.name}: its parameters are not plain")
    require(part.name in describe(part), f"{part.name} is not called by its name")
