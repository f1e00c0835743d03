"""What a request and an answer are, whatever is asked; JSON read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.wire.answers import AnswerError, ClassNames, TopK

Decoded = NDArray[np.float64] | TopK | NDArray[np.int64]
"""What an answer holds: scores ``(rows, classes)``, the best ``k``, or labels ``(rows,)``."""


class Request(NamedTuple):
    """A request for some rows.

    Attributes:
        url: Where it goes.
        content: The body, JSON.
    """

    url: str
    content: bytes


def joined(address: str, path: str) -> str:
    """Returns an address with a path behind it, and before its parameters.

    >>> joined("https://h/openai/deployments/d?api-version=2024-06-01", "chat/completions")
    'https://h/openai/deployments/d/chat/completions?api-version=2024-06-01'
    >>> joined("http://h/v1/completions", "completions")  # the whole address may be given too
    'http://h/v1/completions'
    """
    place, mark, parameters = address.partition("?")
    place = place.rstrip("/")
    whole = place if place.endswith(f"/{path}") else f"{place}/{path}"
    return f"{whole}{mark}{parameters}"


@dataclass(frozen=True)
class Shows:
    """What a server's answers show of each row.

    Attributes:
        access: ``scores``, ``top_k`` or ``label``.
        classes: How many classes there are, or their names in order; ``None`` when the answers
            themselves tell, which is so of scores in a list alone.
        k: How many classes an answer names, for ``top_k``.
    """

    access: Access = Access.SCORES
    classes: int | tuple[str, ...] | None = None
    k: int | None = None

    def __post_init__(self) -> None:
        """Refuses what does not go together.

        Raises:
            TargetError: If the number of classes, or ``k``, is missing or out of bounds.
        """
        if self.access is Access.WEIGHTS:
            raise TargetError('a server shows no weights: set [target] answers = "scores"')
        names = self.names
        if names is None:
            if self.access is not Access.SCORES:
                raise TargetError(
                    f'answers = "{self.access}" tell only part of the classes: set [target] '
                    "classes to how many there are, or to their names in order"
                )
        elif names.count < 2 or len(set(names.known.values())) != names.count:
            raise TargetError("[target] classes: give at least two, none of them twice")
        if (self.access is Access.TOP_K) != (self.k is not None):
            raise TargetError('[target] k goes with answers = "top_k", and with nothing else')
        if self.k is not None and names is not None and not 1 <= self.k <= names.count:
            raise TargetError(f"[target] k = {self.k}: give 1 to {names.count}")

    @cached_property
    def names(self) -> ClassNames | None:
        """The classes by name, where they are known."""
        return None if self.classes is None else ClassNames(self.classes)


def parsed(content: bytes) -> Any:
    """Returns what JSON holds.

    Raises:
        AnswerError: If it is none; NaN, infinity and nesting beyond reason are none either.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise AnswerError(f"it is no JSON ({str(error)[:80]})") from error


def dumped(value: object) -> bytes:
    """Returns JSON; arrays become lists, each float in the fewest digits that give it back."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def listed(value: object, length: int, what: str) -> list[Any]:
    """Returns a list that must have a certain length.

    Raises:
        AnswerError: If it is no list or has another length.
    """
    if not isinstance(value, list):
        raise AnswerError(f"{what} should be a list, not {kind_of(value)}")
    if len(value) != length:
        raise AnswerError(f"{what} should have length {length}, not {len(value)}")
    return value


def kind_of(value: object) -> str:
    """Returns what JSON calls a value."""
    kinds: Sequence[tuple[type, str]] = (
        (bool, "a boolean"),
        (dict, "an object"),
        (list, "a list"),
        (str, "a string"),
        (int, "a number"),
        (float, "a number"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), "null")
