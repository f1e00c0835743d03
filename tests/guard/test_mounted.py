"""The guard where applications really stand: mounted, behind prefixes, with tasks of their own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from tests.guard.conftest import KEYS, policy_table
from tests.guard.test_proxy import kept, served

from darkroom.guard.middleware import Guard
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.proxy import Proxy

HEAD = {"authorization": f"Bearer {KEYS['alice']}"}
BODY = {"inputs": [[1.0, 2.0]]}


class Application:
    """Scores for everybody, and something left to do after each answer."""

    def __init__(self, seconds: float = 0.0, *, fails: bool = False) -> None:
        self.seconds, self.fails = seconds, fails
        self.methods: list[str] = []
        self.done = 0

    async def later(self) -> None:
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise ValueError("after the answer")
        self.done += 1

    async def predict(self, request: Request) -> Response:
        self.methods.append(request.method)
        body = await request.body()
        answer = {"scores": [[0.75, 0.25]]} if body.startswith(b"{") else [[0.75, 0.25]]
        return JSONResponse(answer, background=BackgroundTask(self.later))

    async def chat(self, request: Request) -> Response:
        async def events() -> Any:
            yield b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
            yield b"data: [DONE]\n\n"

        kind = "text/event-stream"
        return StreamingResponse(events(), media_type=kind, background=BackgroundTask(self.later))

    async def health(self, request: Request) -> Response:
        self.methods.append(request.method)
        await asyncio.sleep(self.seconds)
        return JSONResponse({"ok": True})

    def routes(self) -> list[Route]:
        every = ["POST", "PUT"]
        return [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/predictions/m", self.predict, methods=every),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/health", self.health, methods=["GET"]),
        ]


def policy(folder: Path, **changes: Any) -> Policy:
    wires = [{"name": "json", "route": "/predict"}, {"name": "torchserve"}, {"name": "openai"}]
    return parse_policy(policy_table(store=kept(folder), wire=wires, **changes), "policy")


def ask(url: str, path: str = "/predict", method: str = "POST", **more: Any) -> httpx.Response:
    asked = {"json": BODY, "headers": HEAD, **more}
    return httpx.request(method, url + path, trust_env=False, timeout=20, **asked)


@pytest.mark.medium
def test_under_a_root_path(tmp_path: Path) -> None:
    app = Guard(Starlette(routes=Application().routes()), policy(tmp_path))
    with served(app, root_path="/api") as url:  # whoever is in front has taken the prefix off
        assert ask(url).json() == {"scores": [[0.75, 0.25]]}
        assert ask(url, "/other").status_code == 404


@pytest.mark.medium
def test_in_an_application_that_is_mounted(tmp_path: Path) -> None:
    inner = Starlette(
        routes=Application().routes(), middleware=[Middleware(Guard, policy=policy(tmp_path))]
    )
    outer = Starlette(routes=[Mount("/model", inner)])
    with served(outer) as url:
        assert ask(url, "/model/predict").json() == {"scores": [[0.75, 0.25]]}
        assert "ratelimit" in ask(url, "/model/predict").headers
        assert ask(url, "/model/predict", headers={}).status_code == 401
        assert ask(url).status_code == 404


@pytest.mark.medium
def test_behind_a_prefix_that_stays(tmp_path: Path) -> None:
    made = policy(tmp_path, guard={"model": "tiny", "prefix": "/api/v2"})
    with (
        served(Starlette(routes=Application().routes())) as upstream,
        served(Guard(Proxy(made, upstream), made)) as url,
    ):
        assert ask(url, "/api/v2/predict").status_code == 200
        assert ask(url, "/api/v2/health", "GET", json=None).json() == {"ok": True}
        assert [ask(url, path).status_code for path in ("/predict", "/api/v20/predict")] == [
            404
        ] * 2


@pytest.mark.medium
def test_methods_that_formats_take(tmp_path: Path) -> None:
    app = Application()
    with served(Guard(Starlette(routes=app.routes()), policy(tmp_path))) as url:
        put = ask(url, "/predictions/m", "PUT", json=[[1.0, 2.0]])
        assert (put.status_code, put.json()) == (200, [[0.75, 0.25]])
        assert app.methods == ["PUT"]
        # As curl -T sends a file: it says nothing of what it is.
        photo = ask(url, "/predictions/m", "PUT", json=None, content=b"\x89PNG")
        assert photo.status_code == 200
        health = ask(url, "/health", "HEAD", json=None, headers={})
        assert (health.status_code, health.content) == (200, b"")
        refused = ask(url, "/predict", "PUT")
        assert (refused.status_code, "PUT" in refused.headers["allow"]) == (405, True)


@pytest.mark.medium
@pytest.mark.parametrize("stream", [False, True])
def test_tasks_in_the_background_are_not_waited_for_nor_cancelled(
    tmp_path: Path, stream: bool
) -> None:
    app = Application(0.4)
    made = policy(tmp_path, upstream={"seconds": 0.2}, limits={"at_once": 1})
    with served(Guard(Starlette(routes=app.routes()), made)) as url, httpx.Client() as client:
        began = time.monotonic()
        chat = {"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True}
        path, body = ("/v1/chat/completions", chat) if stream else ("/predict", BODY)
        for _ in range(2):  # the place is free again, too
            answer = client.post(url + path, json=body, headers=HEAD)
            assert answer.status_code == 200, answer.text
        assert time.monotonic() - began < 0.75
        deadline = time.monotonic() + 20
        while app.done < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert app.done == 2


@pytest.mark.medium
def test_a_task_in_the_background_that_fails_changes_no_answer(tmp_path: Path) -> None:
    app = Application(fails=True)
    with served(Guard(Starlette(routes=app.routes()), policy(tmp_path))) as url:
        assert [ask(url).status_code for _ in range(2)] == [200, 200]


@pytest.mark.medium
def test_health_is_asked_once_for_all(tmp_path: Path) -> None:
    app = Application(0.3)
    made = policy(tmp_path, limits={"at_once": 2})

    async def many(url: str) -> list[int]:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            asked = [client.get(f"{url}/health") for _ in range(30)]
            paid = client.post(f"{url}/predict", json=BODY, headers=HEAD)
            return [one.status_code for one in await asyncio.gather(*asked, paid)]

    with served(Guard(Starlette(routes=app.routes()), made)) as url:
        assert asyncio.run(many(url)) == [200] * 31
    assert app.methods.count("GET") == 1
