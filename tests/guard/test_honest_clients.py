"""Clients that are not ours, unmodified, through the guard: OpenAI's, Triton's, curl, Starlette."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from tests.guard.conftest import KEYS, policy_table
from tests.guard.test_proxy import served
from tests.support.needs import absent, needed

from darkroom.guard.middleware import Guard
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.proxy import Proxy

HEAD = {"authorization": f"Bearer {KEYS['alice']}"}


async def chat(request: Request) -> Any:
    asked = orjson.loads(await request.body())
    common = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
    if not asked.get("stream"):
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "hello there"},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        made = {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
        return JSONResponse({**made, "internal": "secret"})

    async def events() -> Any:
        for text, reason in (("hello ", None), ("there", None), (None, "stop")):
            delta = {} if text is None else {"content": text}
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            made = {**common, "object": "chat.completion.chunk", "choices": [choice]}
            yield b"data: " + orjson.dumps({**made, "internal": "secret"}) + b"\n\n"
        if (asked.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
            last = {**common, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            yield b"data: " + orjson.dumps(last) + b"\n\n"
        yield b"data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def infer(request: Request) -> JSONResponse:
    asked = orjson.loads(await request.body())
    rows = np.array(asked["inputs"][0]["data"], float).reshape(asked["inputs"][0]["shape"])
    scores = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    output = {
        "name": "predict_proba",
        "datatype": "FP64",
        "shape": list(scores.shape),
        "data": scores.ravel().tolist(),
    }
    return JSONResponse({"model_name": "faces", "outputs": [output]})


async def ready(_: Request) -> JSONResponse:
    return JSONResponse({})


def application() -> Starlette:
    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v2/models/faces/infer", infer, methods=["POST"]),
            Route("/v2/health/ready", ready),
            Route("/v2/models/faces/ready", ready),
        ]
    )


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    table = policy_table(
        wire=[{"name": "open-inference"}, {"name": "openai"}],
        store={"path": str(tmp_path / "guard.sqlite"), "create": True},
    )
    return parse_policy(table, "policy")


@pytest.fixture
def url(policy: Policy) -> Iterator[str]:
    with served(application()) as upstream, served(Guard(Proxy(policy, upstream), policy)) as url:
        yield url


@pytest.mark.medium
def test_openai(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import openai

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEYS["alice"], max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "hi"}]
        whole = client.chat.completions.create(model="m", messages=messages)
        assert whole.choices[0].message.content == "hello there"
        parts = client.chat.completions.create(model="m", messages=messages, stream=True)
        said = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        assert said == "hello there"
        with pytest.raises(openai.RateLimitError) as spent:
            client.chat.completions.create(model="m", messages=messages, n=9)
        assert "budget" in spent.value.message


@pytest.mark.medium
def test_openai_with_a_budget_of_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openai

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    table = policy_table(
        wire=[{"name": "openai", "context": 500}],
        budget=[{"name": "tokens", "tokens": 1000}],
        store={"path": str(tmp_path / "guard.sqlite"), "create": True},
    )
    policy = parse_policy(table, "policy")
    messages: Any = [{"role": "user", "content": "hi"}]
    with (
        served(application()) as upstream,
        served(Guard(Proxy(policy, upstream), policy)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEYS["alice"], max_retries=0) as client,
    ):
        for _ in range(3):  # each holds back 500 while it is on its way, and takes few
            parts = client.chat.completions.create(model="m", messages=messages, stream=True)
            said = [part.choices[0].delta.content or "" for part in parts]
            assert "".join(said) == "hello there"
        told = client.chat.completions.with_raw_response.create(model="m", messages=messages)
        assert told.headers["x-request-id"]
        with pytest.raises(openai.APIStatusError) as spent:
            client.chat.completions.create(model="m", messages=messages, n=3)
        assert spent.value.status_code == 413


@pytest.mark.medium
@pytest.mark.filterwarnings("ignore")
def test_triton(url: str) -> None:
    client_of = needed("tritonclient.http")
    client = client_of.InferenceServerClient(url.removeprefix("http://"))
    head = {"Authorization": f"Bearer {KEYS['alice']}"}
    assert client.is_server_ready()
    assert client.is_model_ready("faces")
    rows = np.eye(3, 4, dtype=np.float32)
    asked = client_of.InferInput("x", list(rows.shape), "FP32")
    asked.set_data_from_numpy(rows, binary_data=False)
    output = client_of.InferRequestedOutput("predict_proba", binary_data=False)
    answer = client.infer("faces", [asked], outputs=[output], headers=head)
    scores = answer.as_numpy("predict_proba")
    assert scores.shape == (3, 4)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    client.close()


@pytest.mark.medium
def test_curl(url: str) -> None:
    if shutil.which("curl") is None:
        absent("curl is not installed: apt-get install curl")
    body = '{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.0, 1.0]}]}'
    head = ["-H", f"X-API-Key: {KEYS['alice']}", "-H", "Content-Type: application/json"]
    command = ["curl", "-sS", "--noproxy", "*", *head, "-d", body, f"{url}/v2/models/faces/infer"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert orjson.loads(done.stdout)["outputs"][0]["shape"] == [1, 2]


def test_two_lines_in_starlette(policy: Policy) -> None:
    made = application()
    made.add_middleware(Guard, policy=policy)  # type: ignore[arg-type,unused-ignore]
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.0, 1.0]}]}

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(made)  # type: ignore[arg-type,unused-ignore]
        async with httpx.AsyncClient(transport=transport, base_url="http://guard") as client:
            path = "/v2/models/faces/infer"
            return [
                (await client.post(path, json=body)).status_code,
                (await client.post(path, json=body, headers=HEAD)).status_code,
            ]

    assert asyncio.run(ask()) == [401, 200]
