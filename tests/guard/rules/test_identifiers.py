"""Identifiers of requests: those that are taken, and those that are made."""

from __future__ import annotations

import re

import pytest

from darkroom.guard.http.identifiers import identifier

HEADER = b"x-request-id"
DRAWN = re.compile("[0-9a-f]{32}")


@pytest.mark.parametrize("told", [b"a", b"7", b"order-17", b"A.b_c:d/e+f=g@h", b"a" * 128])
def test_a_plain_one_is_taken(told: bytes) -> None:
    assert identifier([(b"host", b"h"), (HEADER, told)], HEADER) == told.decode()


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(b"host", b"h")],
        [(HEADER, b"")],
        [(HEADER, b"-a")],
        [(HEADER, b"two words")],
        [(HEADER, b"a" * 129)],
        [(HEADER, b"a\n")],
        [(HEADER, b"a"), (HEADER, b"a")],
        [(b"x-other-id", b"a")],
    ],
)
def test_anything_else_is_none_and_one_is_drawn(pairs: list[tuple[bytes, bytes]]) -> None:
    first, second = (identifier(pairs, HEADER) for _ in range(2))
    assert DRAWN.fullmatch(first)
    assert DRAWN.fullmatch(second)
    assert first != second


def test_all_128_bits_are_drawn() -> None:
    drawn = [int(identifier([], HEADER), 16) for _ in range(64)]
    for bit in (0, 1, 64, 126, 127):
        assert {one >> bit & 1 for one in drawn} == {0, 1}
