"""Applications for timing the guard: each a factory for ``uvicorn --factory``.

All but the proxies are the same small Starlette application, a softmax over a matrix product.
Settings come from the environment: ``GUARD_FOLDER`` for files, ``GUARD_UPSTREAM`` for proxies.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.proxy import Proxy

KEY = "dk_benchmark"
FEATURES, CLASSES = 64, 10
PLENTY = 10**9
"""A budget that no benchmark spends."""

_Endpoint = Callable[[Request], Awaitable[Response]]


def plain() -> Starlette:
    """The application without a guard."""
    return Starlette(routes=[Route("/predict", _model(), methods=["POST"])])


def guarded() -> Guard:
    """The same behind the guard, with durable budgets in SQLite and a defence."""
    return Guard(plain(), policy())


def slowapi() -> Starlette:
    """The same with slowapi, which counts in memory."""
    from slowapi import Limiter
    from slowapi.util import get_remote_address

    limiter = Limiter(key_func=get_remote_address)
    model = _model()

    @limiter.limit(f"{PLENTY}/day")  # type: ignore[untyped-decorator,unused-ignore]
    async def predict(request: Request) -> Response:
        return await model(request)

    made = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
    made.state.limiter = limiter
    return made


def pyrate() -> Starlette:
    """The same with PyrateLimiter's SQLite bucket."""
    limiter = pyrate_limiter(Path(os.environ["GUARD_FOLDER"]) / "pyrate.sqlite", PLENTY)
    model = _model()

    async def predict(request: Request) -> Response:
        if not limiter.try_acquire("client", blocking=False):
            return Response(status_code=429)
        return await model(request)

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


def proxied() -> Guard:
    """The guard as a reverse proxy."""
    made = policy()
    return Guard(Proxy(made, os.environ["GUARD_UPSTREAM"]), made)


def proxied_httpx() -> Guard:
    """The same with another client library behind it, that was the guard's own until 2026."""
    return Guard(_httpx_proxy(), policy())


def passed() -> Any:
    """A plain proxy with the guard's client library, that passes everything on."""
    import aiohttp

    base = os.environ["GUARD_UPSTREAM"]
    sessions: list[aiohttp.ClientSession] = []

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lived(receive, send)
            await asyncio.gather(*(one.close() for one in sessions))
            return
        if not sessions:
            sessions.append(aiohttp.ClientSession(auto_decompress=False))
        body = (await receive())["body"]
        headers = [
            (name.decode(), value.decode()) for name, value in scope["headers"] if name != b"host"
        ]
        asking = sessions[0].request(
            scope["method"], base + scope["path"], headers=headers, data=body
        )
        async with asking as reply:
            start = {"type": "http.response.start", "status": reply.status}
            await send({**start, "headers": list(reply.raw_headers)})
            async for part in reply.content.iter_any():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    return proxy


def _httpx_proxy() -> Any:
    client = httpx.AsyncClient(trust_env=False, timeout=60)
    base = os.environ["GUARD_UPSTREAM"]

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lived(receive, send)
            return
        body = (await receive())["body"]
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        request = client.build_request(
            scope["method"], base + scope["path"], headers=headers, content=body
        )
        reply = await client.send(request, stream=True)
        start = {"type": "http.response.start", "status": reply.status_code}
        await send({**start, "headers": reply.headers.raw})
        async for part in reply.aiter_raw():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        await reply.aclose()

    return proxy


async def _lived(receive: Receive, send: Send) -> None:
    """Follows a server's start and end."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def policy(wire: dict[str, Any] | None = None) -> Policy:
    """The policy of the guarded applications.

    Args:
        wire: The format; plain JSON when left out.
    """
    path = Path(os.environ["GUARD_FOLDER"]) / "guard.sqlite"
    return parse_policy(
        {
            "guard": {"model": "benchmark"},
            "client": [{"name": "benchmark", "key": hashed(KEY)}],
            "wire": [wire or {"name": "json"}],
            "store": {"path": str(path), "create": True},
            "budget": [
                {"name": "daily", "rows": PLENTY},
                {"name": "all", "per": "model", "rows": PLENTY},
            ],
            "defense": [{"name": "rounding", "decimals": 2}],
            "limits": {"at_once": 1000},
        },
        "benchmark",
    )


def pyrate_limiter(path: Path, rows: int) -> Any:
    """Makes PyrateLimiter's SQLite limiter.

    Without its file lock: version 4.5 cannot ask the current filelock without waiting.
    """
    from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

    return Limiter(SQLiteBucket.init_from_file([Rate(rows, Duration.DAY)], db_path=str(path)))


def _model() -> _Endpoint:
    weights = np.random.default_rng(0).normal(size=(FEATURES, CLASSES))

    async def predict(request: Request) -> Response:
        rows = np.array(orjson.loads(await request.body())["inputs"]) @ weights
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
        body = orjson.dumps({"scores": scores}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")

    return predict
