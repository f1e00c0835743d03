"""OpenAI's format: completions counted, log-probabilities cut and defended, streams too."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import math
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import many

from darkroom.errors import PlanError
from darkroom.guard.wire.base import Asked, Refused
from darkroom.guard.wire.openai.completions import OpenAI
from darkroom.guard.wire.openai.server_sent_events import events
from darkroom.guard.wire.registry import WIRES
from darkroom.guard.wire.strict_json import Unclear

T = TypeVar("T")
HEADERS = {"content-type": "application/json"}
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
SENTINEL = -0.61803398874989
OPEN = OpenAI(logprobs=True, top_logprobs=2)


def tried(call: Callable[..., T], *arguments: Any) -> T | Refused:
    """Returns what a call does, or how it refused; anything else it raises is a failure."""
    try:
        return call(*arguments)
    except Refused as refused:
        return refused


def read(wire: OpenAI, path: str, **request: Any) -> Asked:
    full = {"model": "m", **request}
    if path == CHAT:
        full.setdefault("messages", [{"role": "user", "content": "hi"}])
    else:
        full.setdefault("prompt", "hi")
    return wire.read(path, HEADERS, json.dumps(full).encode())


def token(text: str, logprob: float, top: Iterable[tuple[str, float]] = ()) -> dict[str, Any]:
    code = list(text.encode())
    return {
        "token": text,
        "logprob": logprob,
        "bytes": code,
        "top_logprobs": [
            {"token": one, "logprob": value, "bytes": list(one.encode())} for one, value in top
        ],
    }


TOP = [(" a", -0.123456), (" b", -2.345678), (" c", -5.678912)]


def chat_answer(part: bool = False) -> dict[str, Any]:
    content = [token(" a", -0.123456, TOP), token(" d", -7.654321, TOP)]
    message = {"role": "assistant", "content": " a d", "reasoning": str(SENTINEL)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": str(SENTINEL),
        "system_fingerprint": str(SENTINEL),
        "prompt_logprobs": [SENTINEL],
        "choices": [
            {
                "index": 0,
                "delta" if part else "message": message,
                "finish_reason": "stop",
                "logprobs": {"content": content, "refusal": None},
                "stop_reason": SENTINEL,
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "x": SENTINEL},
    }


def text_answer() -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "choices": [
            {
                "index": 0,
                "text": " a d",
                "finish_reason": "length",
                "logprobs": {
                    "tokens": [" a", " d"],
                    "token_logprobs": [-0.123456, -7.654321],
                    "top_logprobs": [dict(TOP), dict(TOP)],
                    "text_offset": [0, 2],
                },
            }
        ],
        "usage": None,
        "timings": {"x": SENTINEL},
    }


def send(wire: OpenAI, asked: Asked, answer: Any) -> dict[str, Any]:
    answered = wire.answer(asked, 200, HEADERS, json.dumps(answer).encode())
    assert answered.scores is None
    told: dict[str, Any] = json.loads(answered.rebuild(None))
    return told


@given(
    prompts=st.integers(1, 4),
    n=st.none() | st.integers(1, 4),
    best_of=st.none() | st.integers(1, 4),
    form=st.sampled_from(["text", "tokens"]),
)
def test_completions_are_prompts_times_the_larger_of_n_and_best_of(
    prompts: int, n: int | None, best_of: int | None, form: str
) -> None:
    prompt: Any = ["hi"] * prompts if form == "text" else [[1, 2, 3]] * prompts
    asked = read(OPEN, TEXT, prompt=prompt, n=n, best_of=best_of)
    assert asked.rows == prompts * max(n or 1, best_of or 1)
    assert asked.inputs is None
    assert read(OPEN, TEXT, prompt="hi" if form == "text" else [1, 2, 3], n=n).rows == (n or 1)
    assert read(OPEN, CHAT, n=n).rows == (n or 1)


def test_completions_that_do_not_leave_are_charged_and_no_more_leave_than_were_asked_for() -> None:
    asked = read(OPEN, TEXT, n=2, best_of=5)
    assert asked.rows == 5
    choice = text_answer()["choices"][0]
    made = [{**choice, "index": index} for index in range(3)]
    assert len(send(OPEN, asked, {"choices": made[:2]})["choices"]) == 2
    refused = tried(OPEN.answer, asked, 200, HEADERS, json.dumps({"choices": made}).encode())
    assert isinstance(refused, Refused)


@pytest.mark.parametrize(
    ("path", "status", "request_"),
    [
        (CHAT, 422, {"logit_bias": {"50256": -100}}),
        (TEXT, 422, {"logit_bias": {"50256": -100}}),
        (TEXT, 422, {"echo": True, "logprobs": 1}),
        (TEXT, 422, {"prompt_logprobs": 1}),
        (CHAT, 422, {"prompt_logprobs": 1}),
        (CHAT, 422, {"Logprobs": True}),
        (CHAT, 422, {"echo": True}),
        (CHAT, 422, {"best_of": 2}),
        (TEXT, 422, {"n_probs": 10}),
        (CHAT, 422, {"guided_regex": "a"}),
        (CHAT, 422, {"allowed_token_ids": [1]}),
        (CHAT, 400, {"top_logprobs": 2}),
        (CHAT, 400, {"logprobs": True, "top_logprobs": 21}),
        (CHAT, 400, {"logprobs": 1}),
        (TEXT, 400, {"logprobs": True}),
        (TEXT, 400, {"logprobs": -1}),
        (TEXT, 400, {"n": 0}),
        (TEXT, 400, {"n": True}),
        (TEXT, 400, {"n": 1.0}),
        (TEXT, 400, {"best_of": "3"}),
        (TEXT, 400, {"prompt": []}),
        (TEXT, 400, {"prompt": [[]]}),
        (TEXT, 400, {"prompt": ["a", [1]]}),
        (TEXT, 400, {"prompt": {"a": 1}}),
        (TEXT, 400, {"echo": 1}),
        (CHAT, 400, {"stream": "yes"}),
        (CHAT, 400, {"messages": []}),
        (TEXT, 413, {"prompt": ["a"] * 50, "n": 10}),
    ],
)
def test_requests_that_ask_for_more_or_are_unclear(path: str, status: int, request_: Any) -> None:
    with pytest.raises(Refused) as caught:
        read(OPEN, path, **request_)
    assert caught.value.status == status


def test_what_the_policy_allows_may_be_asked_for() -> None:
    with pytest.raises(Refused):
        read(OpenAI(), CHAT, logprobs=True)
    assert read(OpenAI(), CHAT, logprobs=False, logit_bias={}, stream=None).rows == 1
    assert read(OpenAI(logit_bias=True), CHAT, logit_bias={"1": 5}).rows == 1
    allowed = OpenAI(logprobs=True, echo_logprobs=True)
    assert read(allowed, TEXT, echo=True, logprobs=3).rows == 1
    assert read(OpenAI(), TEXT, echo=True).rows == 1
    with pytest.raises(PlanError):
        OpenAI(top_logprobs=21)
    with pytest.raises(PlanError):
        WIRES.make("openai", {"defenses": [{"name": "logprob-nosie"}]})


def test_an_answer_keeps_text_and_loses_what_nobody_asked_for() -> None:
    for path, answer in ((CHAT, chat_answer()), (TEXT, text_answer())):
        told = send(OPEN, read(OPEN, path), answer)
        assert told["model"] == "m"
        assert told["choices"][0]["logprobs"] is None
        assert "0.6180" not in json.dumps(told)
        assert "0.1234" not in json.dumps(told)
    assert send(OPEN, read(OPEN, CHAT), chat_answer())["choices"][0]["message"] == {
        "role": "assistant",
        "content": " a d",
    }


def test_likeliest_tokens_are_cut_to_the_policy() -> None:
    asked = read(OPEN, CHAT, logprobs=True, top_logprobs=20)
    first, second = send(OPEN, asked, chat_answer())["choices"][0]["logprobs"]["content"]
    assert first == token(" a", -0.123456, TOP[:2]) | {"top_logprobs": first["top_logprobs"]}
    for entry in (first, second):
        assert [(one["token"], one["logprob"]) for one in entry["top_logprobs"]] == TOP[:2]
    assert second["logprob"] == -7.654321
    asked = read(OPEN, TEXT, logprobs=5)
    told = send(OPEN, asked, text_answer())["choices"][0]["logprobs"]
    assert told["top_logprobs"] == [dict(TOP[:2])] * 2
    assert told["token_logprobs"] == [-0.123456, -7.654321]
    assert told["text_offset"] == [0, 2]
    asked = read(OPEN, TEXT, logprobs=0)
    assert send(OPEN, asked, text_answer())["choices"][0]["logprobs"]["top_logprobs"] is None


def test_defences_change_every_value_and_draw_once_for_a_token() -> None:
    noisy = OpenAI(logprobs=True, defenses=({"name": "logprob-noise", "deviation": 0.3},))
    asked = read(noisy, CHAT, logprobs=True, top_logprobs=3)
    seen = set()
    for _ in range(20):
        told = json.dumps(send(noisy, asked, chat_answer()))
        assert "0.123456" not in told
        first = json.loads(told)["choices"][0]["logprobs"]["content"][0]
        same = [one for one in first["top_logprobs"] if one["token"] == " a"]
        assert same[0]["logprob"] == first["logprob"] <= 0
        order = [one["logprob"] for one in first["top_logprobs"]]
        assert order == sorted(order, reverse=True)
        seen.add(first["logprob"])
    assert len(seen) > 5
    rounded = OpenAI(logprobs=True, defenses=({"name": "logprob-rounding", "step": 8.0},))
    for path, answer in ((CHAT, chat_answer()), (TEXT, text_answer())):
        request: dict[str, Any] = (
            {"logprobs": True, "top_logprobs": 3} if path == CHAT else {"logprobs": 3}
        )
        told = json.dumps(send(rounded, read(rounded, path, **request), answer)["choices"])
        values = {leaf for leaf in _numbers(json.loads(told)) if isinstance(leaf, float)}
        assert values <= {0.0, -8.0}
    hiding = OpenAI(logprobs=True, defenses=({"name": "top-logprobs", "k": 1},))
    asked = read(hiding, CHAT, logprobs=True, top_logprobs=3)
    entries = send(hiding, asked, chat_answer())["choices"][0]["logprobs"]["content"]
    assert [entry["logprob"] for entry in entries] == [-0.123456, -9999.0]
    assert [len(entry["top_logprobs"]) for entry in entries] == [1, 1]


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _numbers(one)]
    return [leaf for one in value for leaf in _numbers(one)] if isinstance(value, list) else [value]


def test_the_order_of_equal_values_is_not_that_of_the_model() -> None:
    rounded = OpenAI(logprobs=True, defenses=({"name": "logprob-rounding", "step": 20.0},))
    asked = read(rounded, CHAT, logprobs=True, top_logprobs=3)
    sent = set()
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        answer = chat_answer()
        for entry in answer["choices"][0]["logprobs"]["content"]:
            entry["top_logprobs"] = [entry["top_logprobs"][place] for place in order]
        sent.add(json.dumps(send(rounded, asked, answer)))
    assert len(sent) == 1


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        3,
        2**70,
        0.5,
        SENTINEL,
        str(SENTINEL),
        "",
        [],
        {},
        [[]],
        {"a": 1},
        "stop",
        -1e9,
    ]
).map(copy.deepcopy)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Changes a document in one to four places."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        places: list[tuple[Any, Any]] = []
        todo = [document]
        while todo:
            holder = todo.pop()
            if isinstance(holder, dict | list):
                keys = list(holder) if isinstance(holder, dict) else range(len(holder))
                places += [(holder, key) for key in keys]
                todo += [holder[key] for key in keys]
        holder, key = draw(st.sampled_from(places))
        act = draw(st.sampled_from(["replace", "delete", "wrap", "insert"]))
        if act == "replace":
            holder[key] = draw(ODD)
        elif act == "delete":
            del holder[key]
            if not document:
                return document
        elif act == "wrap":
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            name = draw(st.sampled_from(["n", "best_of", "logits", "logprobs", "echo", "x"]))
            holder[name] = draw(ODD)
        else:
            holder.append(copy.deepcopy(holder[key]))
    return document


@many
@given(
    document=mutated(
        {"model": "m", "prompt": ["a", "b"], "n": 2, "best_of": 3, "logprobs": 2, "stream": False}
    )
)
def test_a_hostile_client_is_refused_or_charged_for_every_completion(document: Any) -> None:
    asked = tried(OPEN.read, TEXT, HEADERS, json.dumps(document).encode())
    if isinstance(asked, Refused):
        assert asked.status in (400, 413, 415, 422)
        return
    prompt = document["prompt"]
    many = isinstance(prompt, list) and not isinstance(prompt[0], int)
    made = max(document.get("n") or 1, document.get("best_of") or 1)
    assert asked.rows >= (len(prompt) if many else 1) * made


@pytest.mark.medium
@many
@given(data=st.data(), path=st.sampled_from([CHAT, TEXT]), wanted=st.booleans())
def test_nothing_of_a_hostile_upstream_leaves_but_text(
    data: st.DataObject, path: str, wanted: bool
) -> None:
    rounded = OpenAI(
        logprobs=True, top_logprobs=2, defenses=({"name": "logprob-rounding", "step": 0.5},)
    )
    request: dict[str, Any] = (
        {"logprobs": True, "top_logprobs": 2} if path == CHAT else {"logprobs": 2}
    )
    asked = read(rounded, path, **(request if wanted else {}))
    document = data.draw(mutated(chat_answer() if path == CHAT else text_answer()))
    answered = tried(rounded.answer, asked, 200, HEADERS, json.dumps(document).encode())
    if isinstance(answered, Refused):
        assert answered.status == 502
        assert not {"618", "123", "345", "678", "654"} & set(re.findall("...", answered.detail))
        return
    told = json.loads(answered.rebuild(None))
    assert len(told["choices"]) == 1
    for leaf in _numbers(told):
        if isinstance(leaf, float):
            assert wanted
            assert leaf == -9999.0 or (leaf <= 0 and (2 * leaf).is_integer())
    known = {"id", "object", "created", "model", "choices", "usage"}
    assert told.keys() <= known
    for choice in told["choices"]:
        choice.pop("text", None), choice.pop("message", None)
        assert wanted or choice["logprobs"] is None
        if choice["logprobs"] is None:
            assert str(SENTINEL) not in json.dumps(choice)


def pieces(stream: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    async def run() -> AsyncIterator[bytes]:
        places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
        for start, end in itertools.pairwise(places):
            yield stream[start:end]

    return run()


def collected(stream: AsyncIterator[bytes]) -> list[bytes]:
    async def run() -> list[bytes]:
        return [one async for one in stream]

    return asyncio.run(run())


@given(
    cuts=st.lists(st.integers(0, 10_000), max_size=30), end=st.sampled_from([b"\n", b"\r\n", b"\r"])
)
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int], end: bytes) -> None:
    lines = [
        b": ping",
        b"data: one",
        b"",
        b"event: x",
        b"data:two",
        b"data: three",
        b"",
        b"",
        b"id: 3",
        b"",
        b"data: [DONE]",
        b"",
        b"data: lost",
        b"",
    ]
    found = collected(events(pieces(end.join(lines), cuts)))
    assert found == [b"one", b"two\nthree", b"[DONE]"]


def test_an_event_without_end_is_refused_in_bounded_memory() -> None:
    async def endless(piece: bytes) -> AsyncIterator[bytes]:
        while True:
            yield piece

    for piece in (b"x" * 65536, b"data: " + b"x" * 1000 + b"\n", b"data: x" + b"x" * 200_000):
        tracemalloc.start()
        with pytest.raises(Unclear):
            collected(events(endless(piece), largest=2**20))
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
        tracemalloc.stop()


def test_a_stream_leaves_cut_and_defended() -> None:
    asked = read(OPEN, CHAT, logprobs=True, top_logprobs=3, stream=True)
    assert asked.stream
    stream = (
        b": keep-alive\n\ndata: " + json.dumps(chat_answer(part=True)).encode() + b"\n\n"
        b'data: {"choices": [], "usage": {"prompt_tokens": 4}, "logits": [0.25]}\n\n'
        b"data: [DONE]\n\ndata: after\n\n"
    )
    sent = collected(OPEN.answer_stream(asked, pieces(stream, [7, 200, 201])))
    assert sent[-1] == b"data: [DONE]\n\n"
    assert len(sent) == 3
    first = json.loads(sent[0].removeprefix(b"data: "))
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"]["content"] == " a d"
    assert [len(one["top_logprobs"]) for one in first["choices"][0]["logprobs"]["content"]] == [
        2,
        2,
    ]
    assert b"0.6180" not in b"".join(sent)
    assert json.loads(sent[1].removeprefix(b"data: "))["usage"]["prompt_tokens"] == 4
    silent = read(OPEN, CHAT, stream=True)
    sent = collected(OPEN.answer_stream(silent, pieces(stream, [])))
    assert b"0.1234" not in b"".join(sent)


@pytest.mark.medium
@many
@given(
    documents=st.lists(mutated(chat_answer(part=True)), min_size=1, max_size=3),
    noise=st.binary(max_size=20),
    cuts=st.lists(st.integers(0, 10_000), max_size=5),
)
def test_a_hostile_stream_ends_with_an_error_and_leaks_nothing(
    documents: list[Any], noise: bytes, cuts: list[int]
) -> None:
    asked = read(OPEN, CHAT, stream=True)
    stream = (
        noise
        + b"\n\n"
        + b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in documents)
    )
    sent = collected(OPEN.answer_stream(asked, pieces(stream, cuts)))
    assert b"data: [DONE]\n\n" not in sent[:-1]  # noise can be the end of a stream
    for event in sent:
        if event == b"data: [DONE]\n\n":
            continue
        told = json.loads(event.removeprefix(b"data: "))
        if "error" in told:
            assert told["error"]["message"]
            continue
        for choice in told["choices"]:
            assert choice["logprobs"] is None
            choice.pop("delta")
        assert "0.6180" not in json.dumps(told)
        assert not [leaf for leaf in _numbers(told) if isinstance(leaf, float)]


@pytest.mark.parametrize(
    "logprobs",
    [
        [token("a", 0.5)],
        [token("a", -1.0, [("a", -0.1), ("b", -0.1)])],
        [{"token": "a"}],
        [token("a", -1.0) | {"bytes": [SENTINEL]}],
        "text",
    ],
)
def test_log_probabilities_that_are_none_are_refused(logprobs: Any) -> None:
    answer = chat_answer()
    answer["choices"][0]["logprobs"] = {"content": logprobs}
    asked = read(OPEN, CHAT, logprobs=True, top_logprobs=1)
    with pytest.raises(Refused):
        send(OPEN, asked, answer)


def test_more_choices_than_asked_for_are_refused() -> None:
    answer = chat_answer()
    answer["choices"] *= 2
    with pytest.raises(Refused):
        send(OPEN, read(OPEN, CHAT), answer)
    with pytest.raises(Refused):
        send(OPEN, read(OPEN, CHAT, n=2), answer)
    answer["choices"] = [answer["choices"][0] | {"index": index} for index in range(2)]
    assert len(send(OPEN, read(OPEN, CHAT, n=2), answer)["choices"]) == 2


def test_the_first_token_of_an_echoed_prompt_has_no_value() -> None:
    wire = OpenAI(logprobs=True, echo_logprobs=True)
    answer = text_answer()
    told = answer["choices"][0]["logprobs"]
    told["token_logprobs"][0], told["top_logprobs"][0] = None, None
    values = send(wire, read(wire, TEXT, echo=True, logprobs=1), answer)["choices"][0]["logprobs"]
    assert values["token_logprobs"][0] is None
    assert values["top_logprobs"][0] is None
    assert math.isclose(values["token_logprobs"][1], -7.654321)
    assert np.size(values["tokens"]) == 2
