"""Tokens of language models: charged before, corrected after, and never too few."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.guard.conftest import KEYS, Answer, Bench, Hand, policy_table, reply, scope_of

from darkroom.errors import PlanError
from darkroom.guard.http.requests import Message, Send
from darkroom.guard.policy import parse_policy
from darkroom.guard.protection import Protection
from darkroom.guard.stores.base import Store
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.guard.wire.openai.completions import OpenAI
from darkroom.guard.wire.registry import make_wires

Make = Callable[..., Bench]
CONTEXT = 1000
WIRE = [{"name": "openai", "context": CONTEXT}]
BUDGET = [{"name": "tokens", "tokens": 3000}]
CHAT = "/v1/chat/completions"
ALICE = "tokens/client/alice"


def request(**members: Any) -> bytes:
    return json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
    ).encode()


def told(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 0}


def answers(made: Bench, usage: dict[str, int] | None, text: str = "yes") -> None:
    """Has the model answer so much from now on."""
    message = {"role": "assistant", "content": text}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    async def answer(send: Send) -> None:
        await reply(send, json.dumps({**body, "usage": usage}).encode())

    made.model.answer = answer


def streams(made: Bench, *pieces: str, usage: dict[str, int] | None, done: bool = True) -> None:
    """Has the model stream pieces of text from now on."""
    events = [{"choices": [{"index": 0, "delta": {"content": one}}]} for one in pieces]
    if usage is not None:
        events.append({"choices": [], "usage": usage})  # type: ignore[dict-item]
    lines = [f"data: {json.dumps(one)}\n\n" for one in events]
    body = "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()

    async def answer(send: Send) -> None:
        await reply(send, body, kind=b"text/event-stream")

    made.model.answer = answer


async def ask(made: Bench, client: str = "alice", **members: Any) -> Answer:
    """Asks, and stays until the answer is whole."""
    content = request(**members)
    head = [
        (b"host", b"a"),
        (b"content-type", b"application/json"),
        (b"x-api-key", KEYS[client].encode()),
    ]
    parts: list[Message] = [{"type": "http.request", "body": content}]
    sent: list[Message] = []
    whole = asyncio.Event()

    async def receive() -> Message:
        if parts:
            return parts.pop()
        await whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            whole.set()

    await made.guard(scope_of("POST", CHAT, head), receive, send)
    await made.guard.budgets.settled()
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent[1:]))


def spent(made: Bench, subject: str = ALICE) -> int:
    return sum(one.rows for one in made.guard.budgets.store.buckets(subject, 0))


@pytest.fixture
def chat(bench: Make) -> Bench:
    return bench(wire=WIRE, budget=BUDGET)


def test_what_an_answer_took_is_charged_in_the_end(chat: Bench) -> None:
    answers(chat, told(7, 5))
    answer = asyncio.run(ask(chat, max_tokens=50))
    assert answer.status == 200
    assert spent(chat) == spent(chat, "tokens/model") == 12
    assert spent(chat, "client/alice") == 1
    line = chat.records[0].line()
    most = len(request(max_tokens=50)) + 256 + 50
    assert [line[name] for name in ("tokens_most", "tokens", "prompt_tokens")] == [most, 12, 7]
    assert answer.headers["ratelimit-policy"] == '"tokens";q=3000;w=86400;qu="tokens"'
    assert f"r={3000 - most};" in answer.headers["ratelimit"]


@pytest.mark.parametrize("usage", [None, told(0, 0), told(9, 0)])
def test_where_nothing_credible_is_told_the_most_stays(
    chat: Bench, usage: dict[str, int] | None
) -> None:
    answers(chat, usage)
    assert asyncio.run(ask(chat)).status == 200
    assert spent(chat) == chat.records[0].tokens == CONTEXT


def test_more_than_was_charged_is_charged_and_withheld_where_it_does_not_fit(chat: Bench) -> None:
    answers(chat, told(1500, 500))  # a context that the policy has wrong
    assert asyncio.run(ask(chat)).status == 200
    assert spent(chat) == 2000
    answer = asyncio.run(ask(chat))
    assert (answer.status, chat.records[1].outcome) == (429, "withheld")
    assert b"yes" not in answer.body
    assert spent(chat) == 4000
    assert asyncio.run(ask(chat)).status == 429
    assert len(chat.model.seen) == 2


def test_a_failed_upstream_stays_charged(chat: Bench) -> None:
    async def fails(send: Send) -> None:
        await reply(send, b"{}", status=500)

    chat.model.answer = fails
    assert asyncio.run(ask(chat)).status == 502
    assert spent(chat) == CONTEXT


def test_a_stream_is_asked_for_what_it_took_and_tells_only_who_asked(chat: Bench) -> None:
    streams(chat, "a", "b", usage=told(7, 2))
    answer = asyncio.run(ask(chat, stream=True))
    assert spent(chat) == 9
    assert b"usage" not in answer.body
    assert answer.body.count(b"data: ") == 3
    assert json.loads(chat.model.seen[0]["body"])["stream_options"] == {"include_usage": True}
    whole = asyncio.run(ask(chat, stream=True, stream_options={"include_usage": True}))
    assert b'"prompt_tokens":7' in whole.body
    assert spent(chat) == 18


@pytest.mark.parametrize("usage", [None, told(7, 1)])
def test_a_stream_that_is_cut_off_stays_charged(chat: Bench, usage: dict[str, int] | None) -> None:
    streams(chat, "a", "b", usage=usage, done=False)
    asyncio.run(ask(chat, stream=True))
    assert spent(chat) == CONTEXT


def test_who_hangs_up_has_paid_for_all_that_it_could_have_taken(chat: Bench) -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": %b}\n\n'
    begun = asyncio.Event()

    async def endless(send: Send) -> None:
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        told = json.dumps(told_so_far).encode()
        await send({"type": "http.response.body", "body": event % told, "more_body": True})
        begun.set()
        await asyncio.sleep(60)

    told_so_far = told(7, 1)
    chat.model.answer = endless

    async def hang_up() -> None:
        asking = asyncio.create_task(ask(chat, stream=True))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await chat.guard.budgets.settled()

    asyncio.run(hang_up())
    assert spent(chat) == CONTEXT


def test_a_stream_of_more_pieces_than_were_charged_is_charged_for_them(bench: Make) -> None:
    made = bench(wire=[{"name": "openai", "context": 3}], budget=BUDGET)
    streams(made, *"abcdefgh", usage=None)
    asyncio.run(ask(made, stream=True))
    assert spent(made) == 8 + 3  # the prompt has at most a context of tokens


@pytest.mark.medium
@pytest.mark.parametrize("how", ["client gone", "client slow", "upstream broken", "upstream slow"])
@pytest.mark.parametrize("shadow", [False, True])
def test_pieces_beyond_the_first_charge_are_charged_however_a_stream_ends(
    bench: Make, how: str, shadow: bool
) -> None:
    made = bench(
        guard={"model": "tiny", "shadow": shadow},
        wire=[{"name": "openai", "context": 3}],
        budget=BUDGET,
        limits={"send_seconds": 0.2},
        upstream={"seconds": 0.2},
    )
    if shadow and how != "upstream broken":
        pytest.skip("in shadow mode nothing is changed, and an answer is judged when it is whole")
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    gone = asyncio.Event()

    async def answer(send: Send) -> None:
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        for _ in range(8):
            await send({"type": "http.response.body", "body": event, "more_body": True})
        if how == "upstream broken":
            await send({"type": "http.response.body", "body": b"data: {\n\n"})
            return
        gone.set()
        await asyncio.sleep(60)

    made.model.answer = answer
    asked = [{"type": "http.request", "body": request(stream=True)}]
    left: list[Message] = []

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await (gone if how == "client gone" else asyncio.Event()).wait()
        while len(left) < 9:  # all that is there has left
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        left.append(message)
        if how == "client slow" and len(left) == 9:
            await asyncio.sleep(60)

    head = [(b"host", b"a"), (b"content-type", b"application/json")]
    head.append((b"x-api-key", KEYS["alice"].encode()))

    async def stream() -> None:
        await made.guard(scope_of("POST", CHAT, head), receive, send)
        await made.guard.budgets.settled()

    asyncio.run(stream())
    assert spent(made) == 8 + 3


def test_shadows_count_tokens_too(bench: Make) -> None:
    made = bench(guard={"model": "tiny", "shadow": True}, wire=WIRE, budget=BUDGET)
    answers(made, told(7, 5))
    assert asyncio.run(ask(made)).status == 200
    assert spent(made) == made.records[0].tokens == 12


def test_a_budget_that_nothing_counts_is_refused() -> None:
    for wires in ([{"name": "openai"}], [{"name": "json"}], [{"name": "openai"}, *WIRE]):
        with pytest.raises(PlanError, match="context = 8192"):
            make_wires(parse_policy(policy_table(wire=wires, budget=BUDGET), "p"))


def test_a_format_that_counts_no_tokens_beside_one_that_does_is_a_loss() -> None:
    plain = [{"name": "openai"}]
    none, one, both = (
        Protection.of(parse_policy(policy_table(wire=wires), "p"))
        for wires in (plain, WIRE, [*plain, *WIRE])
    )
    assert one.lost_in(both) == one.lost_in(none) == ["wire openai.context"]
    assert both.lost_in(both) == both.lost_in(one) == none.lost_in(both) == []


def most(**members: Any) -> int:
    asked = OpenAI(context=CONTEXT).read(
        CHAT, {"content-type": "application/json"}, request(**members)
    )
    assert asked.tokens is not None
    return asked.tokens.most


@pytest.mark.parametrize(
    "members",
    [
        {
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "max_tokens": 1,
        },
        {"tools": [{"type": "function"}], "max_tokens": 1},
        {"max_tokens": -1},
        {"max_tokens": 0},
        {"max_tokens": 9, "max_completion_tokens": 0},
        {"max_completion_tokens": 9},
        {},
    ],
)
def test_what_no_length_bounds_is_charged_as_a_whole_context(members: dict[str, Any]) -> None:
    assert most(**members) == CONTEXT


def test_completions_are_bounded_each() -> None:
    base = len(request(max_tokens=10)) + 256
    assert most(max_tokens=10) == base + 10
    assert most(max_tokens=10, max_completion_tokens=40) - most(max_tokens=10) == 30 + len(
        ', "max_completion_tokens": 40'
    )
    assert most(n=3) == 3 * CONTEXT


@settings(max_examples=25)
@given(st.text(max_size=40), st.integers(1, 99), st.integers(1, 3))
def test_no_tokenizer_of_bytes_takes_more(text: str, limit: int, n: int) -> None:
    taken = len(text.encode("utf-8", "replace")) + n * limit
    content = text.encode("utf-8", "replace").decode()
    asked = most(messages=[{"role": "user", "content": content}], max_tokens=limit, n=n)
    assert asked >= min(taken, n * CONTEXT)


def test_many_at_once_never_take_more_than_there_is(tmp_path: Path, hand: Hand) -> None:
    """Guards in four threads share a ledger: what left is never more than what is charged."""
    policy = parse_policy(policy_table(wire=WIRE, budget=BUDGET), "p")
    path = tmp_path / "guard.sqlite"
    SqliteStore("tiny", path, create=True).open()
    released: list[int] = []

    def work() -> None:
        store: Store = SqliteStore("tiny", path, clock=hand, patience=20)
        made = Bench(policy, store)
        answers(made, told(40, 60))

        async def several() -> None:
            statuses = [(await ask(made)).status for _ in range(6)]
            released.extend([100] * statuses.count(200))
            await made.guard.stop()

        asyncio.run(several())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = SqliteStore("tiny", path, clock=hand)
    store.open()
    charged = sum(one.rows for one in store.buckets(ALICE, 0))
    store.check()
    store.close()
    assert sum(released) == charged <= 3000
    assert len(released) >= 10
