"""Identifiers of requests: taken or made, given back, logged, and told to the model's server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.guard.conftest import KEYS, Answer, Bench, reply

from darkroom.guard.http.requests import Send

Make = Callable[..., Bench]
Pairs = list[tuple[bytes, bytes]]
HEAD: Pairs = [
    (b"host", b"guard.test"),
    (b"content-type", b"application/json"),
    (b"authorization", f"Bearer {KEYS['alice']}".encode()),
]


def ask(made: Bench, *more: tuple[bytes, bytes], content: bytes | None = None) -> Answer:
    return asyncio.run(made.ask(headers=[*HEAD, *more], content=content))


def test_an_identifier_comes_back_and_goes_on(bench: Make) -> None:
    made = bench()
    answer = ask(made, (b"x-request-id", b"order-17"), (b"traceparent", b"00-a-b-01"))
    assert answer.headers["x-request-id"] == "order-17"
    assert made.records[0].line()["id"] == "order-17"
    sent = dict(made.model.seen[0]["headers"])
    assert (sent[b"x-request-id"], sent[b"traceparent"]) == (b"order-17", b"00-a-b-01")


@pytest.mark.parametrize(
    "told",
    [
        [],
        [b"two words"],
        [b"a" * 129],
        [b"\xff"],
        [b'a"}\n{'],
        [b""],
        [b"a", b"b"],
    ],
)
def test_one_that_is_none_is_made(bench: Make, told: list[bytes]) -> None:
    made = bench()
    answers = [ask(made, *((b"x-request-id", one) for one in told)) for _ in range(2)]
    found = [answer.headers["x-request-id"] for answer in answers]
    assert [len(one) for one in found] == [32, 32]
    assert found[0] != found[1]
    assert [record.id for record in made.records] == found


def test_refusals_and_failures_have_theirs(bench: Make) -> None:
    made = bench(budget=[{"name": "daily", "rows": 1}])
    assert ask(made, (b"x-request-id", b"a")).status == 200
    spent = ask(made, (b"x-request-id", b"b"))
    unread = ask(made, (b"x-request-id", b"c"), content=b"{")
    assert [(one.status, one.headers["x-request-id"]) for one in (spent, unread)] == [
        (429, "b"),
        (400, "c"),
    ]
    assert [one.line()["asked"] for one in made.records] == [1, 1, 0]
    stranger = asyncio.run(made.ask(headers=[*HEAD[:2], (b"x-request-id", b"d")]))
    assert (stranger.status, stranger.headers["x-request-id"]) == (401, "d")


def test_heads_that_differ_in_it_alone_are_understood_once(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench()
    ask(made, (b"x-request-id", b"a"), (b"traceparent", b"1"))
    monkeypatch.setattr("darkroom.guard.handler.Head", None)
    assert ask(made, (b"x-request-id", b"b"), (b"traceparent", b"2")).status == 200


def test_an_upstreams_own_never_takes_its_place(bench: Make) -> None:
    made = bench(upstream={"answer_headers": ["x-request-id"]})

    async def answered(send: Send) -> None:
        await reply(send, b'{"scores": [[1.0, 0.0]]}', more=[(b"x-request-id", b"theirs")])

    made.model.answer = answered
    assert ask(made, (b"x-request-id", b"ours")).headers["x-request-id"] == "ours"


def test_another_header_or_none(bench: Make) -> None:
    other = bench(guard={"model": "tiny", "request_id": "X-Correlation-ID"})
    assert ask(other, (b"x-correlation-id", b"a")).headers["x-correlation-id"] == "a"
    none = bench(guard={"model": "tiny", "request_id": ""})
    answer = ask(none, (b"x-request-id", b"a"))
    assert "x-request-id" not in answer.headers
    assert none.records[0].id is None
