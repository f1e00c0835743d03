"""Reading bodies strictly: whatever two readers could understand differently is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from darkroom.wire.base import kind_of

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBERS = {float, int}
_CONTAINERS = {dict, list}
_IN_NUMBERS = b"0123456789+-.,eE "
"""What makes up most of a body of numbers."""


class Unclear(Exception):  # noqa: N818 - it says what was found, and is no failure
    """Something in a body that is not understood, or asks for more than it may.

    Attributes:
        status: The HTTP status if the client sent it; the upstream's bodies are 502 always.
        detail: What is wrong, without quoting the body.
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        """Takes what is wrong."""
        super().__init__(detail)
        self.detail = detail
        self.status = status


@dataclass(frozen=True)
class Limits:
    """How large a body may be, so that reading it takes bounded memory and time.

    Attributes:
        body: Bytes.
        values: Numbers, strings and containers in it.
        depth: Containers within containers.
        rows: Rows that one request may hold.
    """

    body: int = 64 * 2**20
    values: int = 2_000_000
    depth: int = 32
    rows: int = 4096


def media_type(headers: Mapping[str, str]) -> str:
    """Returns the media type of a body without parameters, in lower case; empty if none is told."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def require_json(headers: Mapping[str, str]) -> None:
    """Refuses a body of another media type than JSON in UTF-8; one that tells none may pass.

    Raises:
        Unclear: If it is of another.
    """
    _require_json(headers.get("content-type", ""))


@lru_cache(64)
def _require_json(told: str) -> None:
    kind, _, parameters = told.partition(";")
    plain = parameters.replace(" ", "").lower() in ("", "charset=utf-8", 'charset="utf-8"')
    if kind.strip().lower() not in ("", "application/json") or not plain:
        raise Unclear("send application/json in UTF-8", 415)


def read_json(body: bytes, limits: Limits) -> Any:
    """Reads JSON that every reader understands alike.

    Refused are members that stand twice in an object, of which readers take the first or the last;
    NaN, infinity and numbers beyond floats; text that is no UTF-8 or half a surrogate pair; and
    more values or depth than the limits allow, before they take memory.

    Raises:
        Unclear: If it is refused.
    """
    if len(body) > limits.body:
        raise Unclear(f"the body is larger than {limits.body} bytes", 413)
    rest = body.translate(None, _IN_NUMBERS)
    # With one colon no member stands twice, and what is short holds few values and is flat.
    colons = rest.count(b":")
    plain = len(rest) <= limits.depth and colons <= 1 and len(body) <= limits.values
    if len(body) > limits.values:
        bare = _STRING.sub(b"", body)
        if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > limits.values:
            raise Unclear(f"the body holds more than {limits.values} values", 413)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unclear("the body is no JSON") from None
    # Outside strings, a colon is a member: where fewer came out, one replaced another.
    if not plain:
        members = _members(value, limits.depth)
        if members != colons and members != _STRING.sub(b"", body).count(b":"):
            raise Unclear("a member of an object stands in it twice")
    return value


def _members(value: Any, depth: int) -> int:
    """Counts the members of all objects in a value.

    Raises:
        Unclear: If it is nested deeper than ``depth``.
    """
    count = 0
    if type(value) is dict:
        count = len(value)
        value = value.values()
    elif type(value) is not list:
        return 0
    if depth <= 0:
        raise Unclear("the body is nested too deeply")
    # Lists of numbers are most of a body; their types are looked at with the speed of C.
    if not _CONTAINERS.isdisjoint(map(type, value)):
        for one in value:
            if type(one) in _CONTAINERS:
                count += _members(one, depth - 1)
    return count


def as_object(value: object, what: str) -> dict[str, Any]:
    """Returns an object.

    Raises:
        Unclear: If it is something else.
    """
    if not isinstance(value, dict):
        raise Unclear(f"{what} should be an object, not {kind_of(value)}")
    return value


def as_list(value: object, what: str) -> list[Any]:
    """Returns a list that is not empty.

    Raises:
        Unclear: If it is something else, or empty.
    """
    if not isinstance(value, list) or not value:
        raise Unclear(f"{what} should be a list with something in it")
    return value


def as_text(value: object, what: str, longest: int = 256) -> str:
    """Returns a string.

    Raises:
        Unclear: If it is something else, or longer.
    """
    if not isinstance(value, str) or len(value) > longest:
        raise Unclear(f"{what} should be a string of at most {longest} characters")
    return value


def as_count(value: object, what: str, least: int, most: int) -> int:
    """Returns a whole number within bounds.

    Raises:
        Unclear: If it is something else.
    """
    if type(value) is not int or not least <= value <= most:
        raise Unclear(f"{what} should be a whole number from {least} to {most}")
    return value


def only(members: Iterable[str], known: Collection[str], what: str) -> None:
    """Refuses members that are not known, since what they ask for is not known either.

    Raises:
        Unclear: If there is one.
    """
    unknown = [*map(known.__contains__, members)].count(False)
    if unknown:
        raise Unclear(
            f"{what} has {unknown} member(s) that may not be sent; allowed: "
            f"{', '.join(sorted(known)) or 'none'}",
            422,
        )


class Numbers(NamedTuple):
    """Numbers in nested lists.

    Attributes:
        shape: How long the lists are, the outermost first.
        values: All of them in order, in one list.
    """

    shape: tuple[int, ...]
    values: list[Any]

    def array(self) -> NDArray[np.float64]:
        """Returns them as an array of their shape."""
        return np.array(self.values, np.float64).reshape(self.shape)

    def row(self) -> NDArray[np.float64]:
        """Returns all of them as one row, ``(1, features)``."""
        return np.array([self.values], np.float64)

    def rows(self) -> NDArray[np.float64]:
        """Returns a row for each of the outermost list, ``(rows, features)``."""
        return np.array(self.values, np.float64).reshape(self.shape[0], -1)


def numeric(value: object, what: str) -> Numbers | None:
    """Reads nested lists of numbers; ``None`` if what they hold is no number.

    Raises:
        Unclear: If the lists are ragged, or numbers are mixed with something else.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    while len(level) == 1 and type(level[0]) is list and level[0]:  # a row alone, as most are
        level = level[0]
        shape.append(len(level))
    while type(level[0]) is list:
        if not set(map(type, level)) <= {list}:
            raise Unclear(f"{what} mixes lists with other values")
        lengths = set(map(len, level))
        if len(lengths) != 1 or lengths == {0}:
            raise Unclear(f"{what} is ragged or empty")
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    kinds = set(map(type, level))
    if kinds <= _NUMBERS:
        return Numbers(tuple(shape), level)
    if kinds & (_NUMBERS | {list}):
        raise Unclear(f"{what} mixes numbers with other values")
    return None
