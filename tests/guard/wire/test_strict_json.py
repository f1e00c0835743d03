"""Reading JSON strictly: nothing passes that two readers could understand differently."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import many

from darkroom.guard.wire.strict_json import Limits, Unclear, numeric, read_json

LIMITS = Limits()

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(value=JSON)
def test_whatever_json_says_once_is_read_as_it_is(value: Any) -> None:
    assert read_json(json.dumps(value).encode(), LIMITS) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode(), LIMITS) == value


@pytest.mark.medium
@given(
    value=st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, min_size=1),
    key=st.data(),
    depth=st.integers(0, 3),
)
def test_a_member_that_stands_twice_is_refused(
    value: dict[str, Any], key: st.DataObject, depth: int
) -> None:
    name = key.draw(st.sampled_from(sorted(value)))
    pairs = [f"{json.dumps(one)}:{json.dumps(value[one])}" for one in value]
    # Written differently, it is the same name all the same.
    escaped = '"' + "".join(f"\\u{unit:04x}" for unit in _units(name)) + '"'
    body = "{" + ",".join([*pairs, f"{escaped}: 1"]) + "}"
    for _ in range(depth):
        body = f'[{{"a": {body}}}]'
    with pytest.raises(Unclear, match="twice"):
        read_json(body.encode(), LIMITS)


def _units(text: str) -> list[int]:
    raw = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b'"\\ud800"',
        b'"\xff"',
        b"\xef\xbb\xbf[]",
        b"[1] [2]",
        "[1]".encode("utf-16"),
        b"[01]",
        b"[1,]",
        b"{'a':1}",
        b'["a\nb"]',
        b"[1]\x00",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Unclear):
        read_json(body, LIMITS)


@given(body=st.binary(max_size=200))
def test_no_bytes_crash_it(body: bytes) -> None:
    try:
        read_json(body, LIMITS)
    except Unclear:
        return
    json.loads(body)


def test_size_and_depth_are_bounded_before_they_take_memory() -> None:
    assert read_json(b"[" * 8 + b"1" + b"]" * 8, Limits(depth=8))
    for body in (
        b"[" * 9 + b"1" + b"]" * 9,
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"[" * 900 + b"]" * 900,
    ):
        with pytest.raises(Unclear):
            read_json(body, Limits(depth=8))
    bomb = b"[" + b"{}," * 3_000_000 + b"{}]"
    tracemalloc.start()
    with pytest.raises(Unclear, match="values"):
        read_json(bomb, LIMITS)
    assert tracemalloc.get_traced_memory()[1] < 2 * len(bomb)
    tracemalloc.stop()
    with pytest.raises(Unclear, match="bytes"):
        read_json(b"1" * 11, Limits(body=10))
    # Brackets and colons inside strings are text.
    assert read_json(b'{"a": "[[[[{{{{:::,,,\\"[[:"}', Limits(depth=1, values=2))


@given(
    array=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(
        lambda shape: np.random.default_rng(0).normal(size=shape)
    )
)
def test_numbers_come_out_as_they_went_in(array: Any) -> None:
    found = numeric(array.tolist(), "it")
    assert found is not None
    assert np.array_equal(found.array(), array)
    assert np.array_equal(found.rows(), array.reshape(len(array), -1))
    assert np.array_equal(found.row(), array.reshape(1, -1))


@many
@given(
    value=st.recursive(
        st.floats(-1, 1) | st.integers(-5, 5) | st.booleans() | st.none() | st.text(max_size=2),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=12,
    )
)
def test_only_even_lists_of_numbers_are_numbers(value: Any) -> None:
    try:
        found = numeric(value, "it")
    except Unclear:
        return
    if found is not None:
        assert found.array().tolist() == value
        assert all(type(one) in (int, float) for one in _flat(value))


def _flat(value: Any) -> list[Any]:
    return [leaf for one in value for leaf in _flat(one)] if isinstance(value, list) else [value]
