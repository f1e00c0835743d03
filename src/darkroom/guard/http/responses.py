"""Answers of the guard's own: problems, and how much of a budget is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from darkroom.guard.budgets.rules import Allowance, Decision
from darkroom.guard.http.requests import Pair, Send
from darkroom.guard.wire.base import Refused, Wire

QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"
PROBLEM = b"application/problem+json"

Fields = list[Pair]


def problem(refused: Refused, *, budget: str | None = None) -> dict[str, Any]:
    """Returns a refusal as RFC 9457 has it.

    Args:
        refused: The status and the texts.
        budget: The name of the budget that is spent, if one is.
    """
    made: dict[str, Any] = {
        "type": "about:blank" if budget is None else QUOTA,
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
    }
    if budget is not None:
        made["violated-policies"] = [budget]
    return made


def problem_body(wire: Wire | None, made: dict[str, Any]) -> bytes:
    """Writes a problem, with the format's own error member where the format is known."""
    return orjson.dumps(made) if wire is None else wire.error(made)


def quota_head(decision: Decision) -> Fields:
    """Returns ``RateLimit-Policy``, ``RateLimit`` (IETF) and ``Retry-After``."""
    head = allowance_head(decision.allowances, decision.leased, decision.passed)
    if not decision.granted and decision.retry is not None:
        head.append((b"retry-after", str(decision.retry).encode()))
    return head


def allowance_head(allowances: Sequence[Allowance], leased: int = 0, passed: int = 0) -> Fields:
    """Returns the ``RateLimit`` fields of a client's budgets.

    Args:
        allowances: The budgets.
        leased: Rows that are charged and left to the client besides.
        passed: Whole seconds since the budgets were so.

    >>> daily = Allowance(b'"daily"', b'"daily";q=10;w=86400', 3, 3600)
    >>> allowance_head([daily], leased=2, passed=60)[1]
    (b'ratelimit', b'"daily";r=5;t=3540')
    """
    if not allowances:
        return []
    left = [
        b"%b;r=%d;t=%d" % (name, rows + leased * leases, max(1, reset - passed))
        for name, _, rows, reset, leases in allowances
    ]
    if len(left) == 1:  # as most have
        return [(b"ratelimit-policy", allowances[0].policy), (b"ratelimit", left[0])]
    policies = b", ".join([policy for _, policy, *_ in allowances])
    return [(b"ratelimit-policy", policies), (b"ratelimit", b", ".join(left))]


async def answer(
    send: Send, status: int, content_type: bytes, body: bytes, head: Fields, *, bare: bool = False
) -> None:
    """Sends a whole answer.

    Args:
        send: Of the connection.
        status: The HTTP status.
        content_type: Of the body.
        body: All of it.
        head: More headers.
        bare: Whether the body stays away, as with ``HEAD``.
    """
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *head,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bare else body})
