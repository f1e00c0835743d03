"""Heads that have been here before are understood at once, and never better than they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from tests.guard.conftest import Answer, Bench, call, policy_table, scope_of

from darkroom.guard.admission import seen_inputs
from darkroom.guard.http import head_cache
from darkroom.guard.http.requests import Head
from darkroom.guard.policy import parse_policy

Make = Callable[..., Bench]
HEAD = [
    (b"host", b"model.example"),
    (b"content-type", b"application/json"),
    (b"authorization", b"Bearer dk_alice"),
]
BODY = b'{"inputs": [[0.5, 0.25, 0.125, 1.5]]}'
LENGTH = (b"content-length", b"%d" % len(BODY))


def ask(made: Bench, *heads: Any, body: bytes = BODY, **more: Any) -> list[Answer]:
    async def one_by_one() -> list[Answer]:
        every = [scope_of("POST", "/predict", list(head), **more) for head in heads]
        return [await call(made.guard, scope, [body]) for scope in every]

    return asyncio.run(one_by_one())


def test_a_head_is_checked_once_whatever_the_length(bench: Make) -> None:
    made = bench()
    longer = b'{"inputs": [[0.5, 0.25, 0.125, 1.5555]]}'
    with mock.patch("darkroom.guard.handler.Head", wraps=Head) as checked:
        first = ask(made, [*HEAD, LENGTH])[0]
        second = ask(made, [(b"content-length", b"%d" % len(longer)), *HEAD], body=longer)[0]
        third = ask(made, HEAD)[0]
    assert [first.status, second.status, third.status] == [200] * 3
    assert checked.call_count == 1
    assert [one["path"] for one in made.model.seen] == ["/predict"] * 3
    lengths = [dict(one["headers"])[b"content-length"] for one in made.model.seen]
    assert lengths == [LENGTH[1], b"%d" % len(longer), LENGTH[1]]


@pytest.mark.parametrize(
    "wrong",
    [
        [LENGTH, LENGTH],
        [LENGTH, (b"content-length", b"1")],
        [(b"content-length", b"+37")],
        [(b"content-length", b"")],
        [(b"content-length", b"3.7e1")],
        [(b"content-length", "٣٧".encode())],
        [(b"content-length", b"0" * 17 + b"37")],
        [(b"content-length", b"%d" % (len(BODY) + 1))],
        [LENGTH, (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"gzip, chunked")],
        [LENGTH, (b"host", b"other.example")],
        [LENGTH, (b"content-encoding", b"gzip")],
        [LENGTH, (b"content-type", b"text/html")],
    ],
)
def test_what_differs_in_anything_is_checked_again(bench: Make, wrong: Any) -> None:
    made = bench()
    answers = ask(made, [*HEAD, LENGTH], [*HEAD, *wrong], [*HEAD, LENGTH])
    assert [answers[0].status, answers[2].status] == [200, 200]
    assert answers[1].status in (400, 415)
    assert made.model.rows == 2


def test_another_route_query_version_or_peer_is_another_head(bench: Make) -> None:
    made = bench()
    assert ask(made, HEAD)[0].status == 200
    assert ask(made, HEAD, query=b"explain=1")[0].status == 400
    scope = scope_of("POST", "/predict", list(HEAD))
    for changed in (
        {"path": "/explain", "raw_path": b"/explain"},
        {"raw_path": b"/pre%64ict"},
        {"method": "PUT"},
        {"http_version": "0.9"},
        {"http_version": "1.0", "headers": iter([*HEAD, (b"transfer-encoding", b"chunked")])},
    ):
        answer = asyncio.run(call(made.guard, {**scope, **changed}, [BODY]))
        assert answer.status in (400, 404, 405), changed
    assert made.model.rows == 1


def test_a_key_that_the_policy_drops_is_known_no_more(bench: Make, tmp_path: Any) -> None:
    made = bench()
    assert ask(made, HEAD)[0].status == 200
    table = policy_table()
    table["client"] = [one for one in table["client"] if one["name"] != "alice"]
    made.guard.active = made.guard._activated(parse_policy(table, "p"))
    assert ask(made, HEAD)[0].status == 401


def test_only_heads_of_known_clients_are_kept_and_only_small_ones(bench: Make) -> None:
    made = bench()
    stranger = [*HEAD[:2], (b"authorization", b"Bearer dk_nobody")]
    large = [*HEAD, (b"x-note", b"n" * head_cache.LARGEST_HEAD)]
    many = [*HEAD, *[(b"a", b"")] * head_cache.MOST_PAIRS]
    assert [one.status for one in ask(made, stranger, large, many)] == [401, 200, 200]
    assert not made.guard.active.heads._known


def test_few_heads_are_kept(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_cache, "MOST_HEADS", 3)
    made = bench()
    for number in range(8):
        assert ask(made, [*HEAD, (b"x-note", b"%d" % number)])[0].status == 200
        assert len(made.guard.active.heads._known) <= 3


def test_servers_may_give_lists(bench: Make) -> None:
    made = bench()
    scope = scope_of("POST", "/predict", list(HEAD))
    scope["headers"] = [list(pair) for pair in HEAD]
    for _ in range(2):
        assert asyncio.run(call(made.guard, dict(scope), [BODY])).status == 200
    assert made.model.rows == 2


def test_inputs_become_arrays_only_where_something_looks(bench: Make) -> None:
    made = bench()
    asked = made.guard.active.wires[0].read("/predict", {}, BODY)
    assert asked.inputs is not None
    assert asked.inputs().tolist() == [[0.5, 0.25, 0.125, 1.5]]
    assert seen_inputs(made.guard.active, asked, None) is None
    assert asked.inputs is None
