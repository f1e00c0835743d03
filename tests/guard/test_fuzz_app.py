"""Hostile clients and hostile upstreams through the whole guard, in every wire format."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.conftest import KEYS, Answer, policy_table, reply, scope_of
from tests.guard.wire import test_openai
from tests.guard.wire.test_formats import (
    FORMATS,
    SENTINEL,
    Format,
    draw_scores,
    leaves,
    mutated,
    row_values,
)
from tests.support.examples import few

from darkroom.guard.http.requests import Message, Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.guard.telemetry.record import Record
from darkroom.guard.wire.base import Wire

HOSTILE = [(b"x-scores", b"0.987654321"), (b"set-cookie", b"raw=0.987654321")]


class Fuzzed:
    """A guard with labels alone in front of an upstream that answers what it is told to."""

    def __init__(self, wire: Wire, folder: Path) -> None:
        self.body: bytes = b""
        self.kind = b"application/json"
        self.seen: list[bytes] = []
        self.records: list[Record] = []
        self.runner = asyncio.Runner()
        budgets = [{"name": "daily", "per": "client", "rows": 10**9}]
        policy = parse_policy(policy_table(budget=budgets, outputs={"labels_only": True}), "policy")
        store = SqliteStore("tiny", folder / "guard.sqlite", create=True)
        self.guard = Guard(
            self._upstream, policy, wires=[wire], store=store, observers=[self.records.append]
        )

    async def _upstream(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append((await receive())["body"])
        await reply(send, self.body, kind=self.kind, more=HOSTILE)

    def ask(self, path: str, content: bytes, kind: bytes = b"application/json") -> Answer:
        headers = [
            (b"host", b"guard.test"),
            (b"content-type", kind),
            (b"content-length", str(len(content)).encode()),
            (b"authorization", f"Bearer {KEYS['alice']}".encode()),
        ]
        return self.runner.run(self._asked(scope_of("POST", path, headers), content))

    async def _asked(self, scope: Scope, content: bytes) -> Answer:
        """Asks as a client that stays on the line until the answer has ended."""
        parts, messages = [content], list[Message]()

        async def receive() -> Message:
            if not parts:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": parts.pop(), "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        await self.guard(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        body = b"".join(one.get("body", b"") for one in messages[1:])
        return Answer(messages[0]["status"], headers, body)


Make = Callable[[Wire], Fuzzed]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Fuzzed] = []

    def one(wire: Wire) -> Fuzzed:
        made.append(Fuzzed(wire, tmp_path))
        return made[-1]

    yield one
    for fuzz in made:
        fuzz.runner.close()


def check(answer: Answer, raw: list[float]) -> None:
    """Fails if a raw value, a header of the upstream, or a crash is in an answer."""
    assert answer.status in (200, 400, 401, 404, 405, 413, 415, 422, 502)
    whole = answer.body + repr(answer.headers).encode()
    for value in (*raw, SENTINEL, 0.987654321):
        assert str(value)[:8].encode() not in whole
    assert not {"x-scores", "set-cookie"} & answer.headers.keys()
    if answer.status != 200:
        assert answer.json["status"] == answer.status


@pytest.mark.medium
@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS.keys())
def test_nothing_of_a_hostile_upstream_leaves_the_guard(kind: Format, make: Make) -> None:
    fuzz = make(kind.wire)

    @few
    @given(data=st.data(), hostile=st.booleans())
    def run(data: st.DataObject, hostile: bool) -> None:
        values = data.draw(row_values(kind.most))
        scores = draw_scores(len(values), data.draw(st.integers(0, 999)))
        document = kind.answer(scores)
        fuzz.body = json.dumps(data.draw(mutated(document)) if hostile else document).encode()
        answer = fuzz.ask(kind.path, json.dumps(kind.request(values)).encode())
        check(answer, [float(one) for one in scores.ravel()])
        assert hostile or answer.status == 200
        if answer.status == 200:
            floats = {leaf for leaf in leaves(answer.json) if isinstance(leaf, float)}
            assert floats <= {float(whole) for whole in range(4)}
        assert fuzz.records[-1].rows == len(values)

    run()


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS.keys())
def test_no_request_reaches_the_model_uncharged(kind: Format, make: Make) -> None:
    fuzz = make(kind.wire)

    @few
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        values = data.draw(row_values(kind.most))
        document: Any = data.draw(mutated(kind.request(values)))
        content = json.dumps(document).encode()
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content)))]
        fuzz.body = json.dumps(kind.answer(draw_scores(len(values), 0))).encode()
        fuzz.seen.clear()
        answer = fuzz.ask(kind.path, content)
        check(answer, [])
        for body in fuzz.seen:
            assert body == content
            assert fuzz.records[-1].rows >= kind.count(json.loads(body)) >= 1

    run()


def test_no_stream_of_a_hostile_upstream_leaks(make: Make) -> None:
    fuzz = make(test_openai.OPEN)
    fuzz.kind = b"text/event-stream"
    request = {"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True}

    @few
    @given(
        documents=st.lists(test_openai.mutated(test_openai.chat_answer(part=True)), max_size=3),
        rest=st.binary(max_size=20),
    )
    def run(documents: list[Any], rest: bytes) -> None:
        events = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in documents]
        fuzz.body = b"".join([*events, rest, b"\n\ndata: [DONE]\n\n"])
        answer = fuzz.ask("/v1/chat/completions", json.dumps(request).encode())
        assert answer.status == 200
        for event in answer.body.split(b"\n\n"):
            if event not in (b"", b"data: [DONE]"):
                told = json.loads(event.removeprefix(b"data: "))
                for choice in told.get("choices", []):
                    choice.pop("delta", None)
                numbers = [one for one in leaves(told) if isinstance(one, float)]
                assert numbers == []
                assert "0.618" not in json.dumps(told)

    run()


@few
@given(scores=st.integers(1, 40).map(lambda seed: draw_scores(3, seed)))
def test_the_check_of_leaks_finds_them(scores: Any) -> None:
    leaking = Answer(200, {}, json.dumps({"scores": np.asarray(scores).tolist()}).encode())
    with pytest.raises(AssertionError):
        check(leaking, [float(one) for one in scores.ravel()])
