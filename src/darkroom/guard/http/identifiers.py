"""Identifiers of requests: taken from a header, or made, so that several logs can be joined."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from darkroom.guard.http.requests import Pair

TRACING = frozenset([b"traceparent", b"tracestate", b"baggage"])
"""Headers of W3C Trace Context and Baggage: like identifiers, others with each request."""

_PLAIN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


def identifier(pairs: Sequence[Pair], header: bytes) -> str:
    """Returns the identifier that a request came with, or a new one.

    One that is given twice, is longer than 128 signs, or has signs that could be mistaken in a log,
    is not taken.

    Args:
        pairs: Headers of the request.
        header: The one that holds it, in lower case.

    >>> identifier([(b"x-request-id", b"order-17")], b"x-request-id")
    'order-17'
    >>> len(identifier([(b"x-request-id", b"two words")], b"x-request-id"))
    32
    """
    if not pairs:
        return _drawn()
    told = [value for name, value in pairs if name == header]
    if len(told) == 1 and _PLAIN.fullmatch(told[0]):
        return told[0].decode()
    return _drawn()


def _drawn() -> str:
    # It proves nothing, so it need not be hard to guess; the system's own draws take ten times as
    # long. The generator is seeded anew in each process, also in those that are forked.
    return f"{random.getrandbits(128):032x}"
