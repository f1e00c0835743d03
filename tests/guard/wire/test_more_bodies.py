"""Bodies of MLflow, SageMaker, Azure, TensorFlow and forms; numbers; shared routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from tests.guard.conftest import Bench, policy_table, reply

from darkroom.errors import PlanError
from darkroom.guard.http.requests import Send
from darkroom.guard.policy import parse_policy
from darkroom.guard.wire.base import Refused
from darkroom.guard.wire.registry import WIRES, make_wires
from darkroom.guard.wire.strict_wire import StrictWire

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv; charset=utf-8"}
SCORES = [[0.75, 0.25], [0.5, 0.5]]


def wire(name: str, **parameters: Any) -> StrictWire:
    return WIRES.make(name, parameters)


def asked(name: str, path: str, body: object, headers: dict[str, str] = JSON, **more: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire(name, **more).read(path, headers, content)


FRAME = {"columns": ["age", "town"], "index": [0, 1], "data": [[31, "Bonn"], [40.5, None]]}
V1 = "/v1/models/m:predict"


@pytest.mark.parametrize(
    ("name", "path", "body", "rows"),
    [
        ("invocations", "/invocations", {"dataframe_split": FRAME}, 2),
        ("invocations", "/invocations", {"dataframe_records": [{"age": 1, "town": "a"}]}, 1),
        ("invocations", "/invocations", {"instances": [[1.0], [2.0], [3.0]]}, 3),
        ("invocations", "/invocations", {"inputs": [[1.0, 2.0]]}, 1),
        ("azure", "/score", {"input_data": FRAME}, 2),
        ("azure", "/score", {"input_data": {"columns": ["a"], "data": [[1], [2]]}}, 2),
        ("azure", "/score", {"data": [[1.0, 2.0]]}, 1),
        ("v1", V1, {"inputs": [[1.0], [2.0]]}, 2),
        ("v1", V1, {"inputs": {"a": [[1.0], [2.0]], "b": ["x", "y"]}}, 2),
        ("json", "/predict", {"inputs": [[1.5, "red", None], [2, "blue", True]]}, 2),
    ],
)
def test_rows_are_counted(name: str, path: str, body: object, rows: int) -> None:
    assert asked(name, path, body).rows == rows


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("invocations", "/invocations", {"dataframe_split": {**FRAME, "index": [0]}}),
        ("invocations", "/invocations", {"dataframe_split": {**FRAME, "columns": ["a"]}}),
        ("invocations", "/invocations", {"dataframe_split": {**FRAME, "columns": ["a", "a"]}}),
        ("invocations", "/invocations", {"instances": [[1.0]], "inputs": [[1.0]]}),
        ("invocations", "/invocations", {"instances": [[1.0]], "params": {"raw": True}}),
        ("azure", "/score", {"input_data": FRAME, "params": {"proba": True}}),
        ("json", "/predict", {"inputs": [[1.5, "red"], [2]]}),
        ("json", "/predict", {"inputs": [[1.5, "red"], [2, ["x"]]]}),
    ],
)
def test_what_is_unclear_is_refused(name: str, path: str, body: object) -> None:
    with pytest.raises(Refused) as found:
        asked(name, path, body)
    assert found.value.status in (400, 422)


def test_lines_of_csv_are_rows() -> None:
    assert asked("invocations", "/invocations", b"1,2.5\r\n3,4\r\n", CSV).rows == 2
    np.testing.assert_array_equal(
        asked("invocations", "/invocations", b"1,2.5\n3,4", CSV).inputs(), [[1, 2.5], [3, 4]]
    )
    named = asked("invocations", "/invocations", b"age,town\n3,Bonn\n", CSV, csv_header=True)
    assert (named.rows, named.inputs) == (1, None)
    for wrong in (b"", b"1,2\n3", b'1,"2\n3",4', b"1\n\n2", b"1,2\r3,4", b"1\x00", b"\xff"):
        with pytest.raises(Refused):
            asked("invocations", "/invocations", wrong, CSV)


@pytest.mark.parametrize(
    ("name", "path", "request_", "answer", "headers"),
    [
        ("invocations", "/invocations", {"inputs": [[1], [2]]}, {"predictions": SCORES}, JSON),
        ("invocations", "/invocations", {"inputs": [[1], [2]]}, SCORES, JSON),
        ("invocations", "/invocations", {"inputs": [[1], [2]]}, b"0.75,0.25\n0.5,0.5\n", CSV),
        ("azure", "/score", {"data": [[1], [2]]}, SCORES, JSON),
        ("azure", "/score", {"data": [[1], [2]]}, {"Results": SCORES, "raw": 1}, JSON),
        ("v1", V1, {"inputs": [[1], [2]]}, {"outputs": SCORES}, JSON),
        ("v1", V1, {"inputs": [[1], [2]]}, {"outputs": {"softmax": SCORES}}, JSON),
    ],
)
def test_answers_keep_their_form_and_lose_the_rest(
    name: str, path: str, request_: object, answer: Any, headers: dict[str, str]
) -> None:
    made = wire(name)
    told = made.read(path, JSON, json.dumps(request_).encode())
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    answered = made.answer(told, 200, headers, content)
    assert answered.scores is not None
    np.testing.assert_allclose(answered.scores, SCORES)
    changed = answered.rebuild(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert b"0.75" not in changed
    assert b"raw" not in changed
    if headers == CSV:
        assert (changed, answered.content_type) == (b"1.0,0.0\n0.0,1.0\n", "text/csv")


def form(files: list[tuple[str, bytes]], data: dict[str, str] | None = None) -> Any:
    made = httpx.Request(
        "POST",
        "http://a/",
        files=[("image", (name, content, "image/png")) for name, content in files],
        data=data or {},
    )
    return made.read(), {"content-type": made.headers["content-type"]}


def test_files_of_a_form_are_rows() -> None:
    faces = wire("json", files=["image"], allow=["threshold"])
    body, headers = form([("a.png", b"\x89PNG\r\n--"), ("b.png", b"x")], {"threshold": "0.5"})
    assert faces.read("/predict", headers, body).rows == 2
    one = wire("json", files=["image"], one_by_one=True)
    with pytest.raises(Refused):
        one.read("/predict", headers, body)
    body, headers = form([("a.png", b"x")])
    assert one.read("/predict", headers, body).rows == 1


def _twice(body: bytes, line: bytes) -> bytes:
    return body.replace(b"PIXELS", b"PIXELS\r\n" + line + b"\nmore")


@pytest.mark.parametrize(
    "change",
    [
        _twice,
        lambda body, line: b"before\r\n" + body,
        lambda body, line: body + b"after",
        lambda body, line: body.replace(line + b"--", line),
        lambda body, line: body.replace(b'name="image"', b'name="other"'),
        lambda body, line: body.replace(b'; filename="a.png"', b""),
        lambda body, line: body.replace(b"filename=", b"filename*="),
        lambda body, line: body.replace(b"Content-Type", b"Content-Transfer-Encoding"),
        lambda body, line: body.replace(b"\r\n", b"\n"),
        lambda body, line: body.replace(b"PIXELS", b""),
        lambda body, line: body.replace(b'"image"', b'"image"; name="image"'),
    ],
)
def test_forms_that_two_readers_could_take_differently_are_refused(
    change: Callable[[bytes, bytes], bytes],
) -> None:
    body, headers = form([("a.png", b"PIXELS")])
    line = b"--" + headers["content-type"].partition("boundary=")[2].encode()
    faces = wire("json", files=["image"])
    assert faces.read("/predict", headers, body).rows == 1
    with pytest.raises(Refused):
        faces.read("/predict", headers, change(body, line))


Make = Callable[..., Bench]


def test_two_formats_share_a_route(bench: Make) -> None:
    made = bench(
        wire=[
            {"name": "json", "route": "/predict", "inputs": "rows"},
            {"name": "json", "route": "/predict", "files": ["image"]},
            {"name": "json", "route": "/predict"},
        ]
    )

    async def scores(send: Send) -> None:
        await reply(send, json.dumps({"scores": [[0.75, 0.25]]}).encode())

    made.model.answer = scores

    async def ask(content: bytes, kind: str) -> int:
        head = [(b"host", b"a"), (b"authorization", b"Bearer dk_alice")]
        headers = [*head, (b"content-type", kind.encode())]
        return (await made.ask(content=content, headers=headers)).status

    async def every() -> list[int]:
        body, headers = form([("a.png", b"x")])
        return [
            await ask(b'{"rows": [[1.0]]}', "application/json"),
            await ask(b'{"inputs": [[1.0]]}', "application/json"),
            await ask(body, headers["content-type"]),
            await ask(b'{"inputs": [[1.0]], "rows": [[1.0]]}', "application/json"),
        ]

    assert asyncio.run(every()) == [200, 200, 200, 422]


NUMBERS = {
    "json": ("/predict", {"inputs": [[1.0], [2.0]]}, {"scores": [31.7, 28.2]}),
    "v1": (V1, {"instances": [[1.0], [2.0]]}, {"predictions": [[31.7], [28.2]]}),
    "invocations": ("/invocations", {"inputs": [[1], [2]]}, {"predictions": [31.7, 28.2]}),
    "azure": ("/score", {"data": [[1], [2]]}, [31.7, 28.2]),
    "open-inference": (
        "/v2/models/m/infer",
        {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]}]},
        {"outputs": [{"name": "y", "shape": [2, 1], "datatype": "FP64", "data": [31.7, 28.2]}]},
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_predicted_numbers_leave_as_defences_make_them(bench: Make, name: str) -> None:
    path, request, answer = NUMBERS[name]
    made = bench(
        wire=[{"name": name, "numbers": True}],
        defense=[{"name": "value-rounding", "step": 5}],
    )

    async def numbers(send: Send) -> None:
        await reply(send, json.dumps(answer).encode())

    made.model.answer = numbers
    got = asyncio.run(made.ask(content=json.dumps(request).encode(), path=path))
    assert got.status == 200, got.body
    assert b"30.0" in got.body
    assert not any(raw in got.body for raw in (b"31.7", b"28.2"))


@pytest.mark.parametrize("told", [["31.7", 2.0], [[31.7, 2.0], [1.0, 2.0]], [None, 1.0], [1.0]])
def test_what_is_no_number_is_withheld(told: object) -> None:
    made = wire("json", numbers=True)
    question = made.read("/predict", JSON, b'{"inputs": [[1.0], [2.0]]}')
    with pytest.raises(Refused):
        made.answer(question, 200, JSON, json.dumps({"scores": told}).encode())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"defense": [{"name": "value-noise"}]}, "numbers = true"),
        (
            {"defense": [{"name": "rounding"}], "wire": [{"name": "json", "numbers": True}]},
            "value-rounding",
        ),
        ({"outputs": {"top_k": 1}, "wire": [{"name": "v1", "numbers": True}]}, "top-k"),
        (
            {
                "budget": [{"name": "class", "per": "class", "rows": 1}],
                "wire": [{"name": "v1", "numbers": True}],
            },
            "counts classes",
        ),
    ],
)
def test_defences_must_go_with_the_answers(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        make_wires(parse_policy(policy_table(**changes), "p"))


def test_a_number_where_probabilities_are_awaited_says_what_to_write() -> None:
    made = wire("json")
    question = made.read("/predict", JSON, b'{"inputs": [[1.0]]}')
    with pytest.raises(Refused, match="numbers = true"):
        made.answer(question, 200, JSON, b'{"scores": [31.7]}')


CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "members",
    [
        {"functions": None, "stop": None, "logit_bias": None, "n": None},
        {"service_tier": "auto", "modalities": ["text"], "verbosity": "low"},
        {"safety_identifier": "u", "prompt_cache_key": "k", "prediction": None},
        {"logprobs": False, "top_logprobs": 0},
    ],
)
def test_members_that_openai_clients_send(members: dict[str, Any]) -> None:
    assert asked("openai", CHAT, {"model": "m", "messages": MESSAGES, **members}).rows == 1


CHOICE = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
CHUNKS = [
    {"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"x": 1}}]},
    {"choices": [{**CHOICE, "delta": None, "finish_reason": "stop"}]},
    {"choices": [{**CHOICE, "finish_reason": ""}]},
    {"choices": [{**CHOICE, "delta": {"content": None, "reasoning_content": "why"}}]},
    {"choices": [CHOICE], "usage": None},
]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_chunks_that_servers_send(chunk: dict[str, Any]) -> None:
    made = wire("openai")
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    question = made.read(CHAT, JSON, json.dumps(body).encode())

    async def chunks() -> AsyncIterator[bytes]:
        yield f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()

    async def told() -> bytes:
        return b"".join([one async for one in made.answer_stream(question, chunks())])

    came = asyncio.run(told())
    assert b"error" not in came
    assert b"filter" not in came
    assert came.endswith(b"data: [DONE]\n\n")


def test_whole_answers_with_parts_and_functions() -> None:
    made = wire("openai")
    body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "hello", "raw": 1}],
        "function_call": {"name": "f", "arguments": "{}"},
        "tool_calls": None,
        "annotations": [],
    }
    answer = {"choices": [{"message": message, "finish_reason": "eos_token"}]}
    told = made.answer(made.read(CHAT, JSON, body), 200, JSON, json.dumps(answer).encode())
    (choice,) = json.loads(told.rebuild(None))["choices"]
    assert choice["message"]["content"] == [{"type": "text", "text": "hello"}]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert choice["finish_reason"] == "stop"
