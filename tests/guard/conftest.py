"""A small application to guard, a policy for it, and a way to ask both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest
from benchmarks.guard.servers import has_postgres, has_redis, postgres_server, redis_server
from tests.support.needs import absent

from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Message, Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.stores.base import Clock, Store
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.guard.telemetry.record import Record

KEYS = {"alice": "dk_alice", "bob": "dk_bob"}
CLASSES = 4


class Model:
    """An application that answers softmax of the first features; it counts the rows it sees."""

    def __init__(self) -> None:
        self.rows = 0
        self.seen: list[dict[str, Any]] = []
        self.answer: Callable[[Send], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        self.seen.append({**scope, "body": body})
        if self.answer is not None:
            await self.answer(send)
            return
        if scope["path"] == "/health":
            await reply(send, b'{"ok": true}')
            return
        rows = np.array(orjson.loads(body)["inputs"], float)
        self.rows += len(rows)
        powers = np.exp(rows[:, :CLASSES])
        scores = powers / powers.sum(axis=1, keepdims=True)
        made = {"scores": scores.tolist(), "logits": rows.tolist(), "secret": "raw"}
        await reply(send, orjson.dumps(made), more=[(b"x-upstream", b"secret")])


async def reply(
    send: Send,
    body: bytes,
    status: int = 200,
    kind: bytes = b"application/json",
    more: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [(b"content-type", kind), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def scope_of(
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    *,
    query: bytes = b"",
    peer: str = "127.0.0.1",
) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": (peer, 1234),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }


async def call(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
    scope: Scope,
    parts: list[bytes],
    sent: list[Message] | None = None,
) -> Answer:
    """Asks an ASGI application without a server in between."""
    waiting = list(parts)
    messages: list[Message] = [] if sent is None else sent

    async def receive() -> Message:
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    starts = [one for one in messages if one["type"] == "http.response.start"]
    if not starts:
        return Answer(0, {}, b"")
    headers = {name.decode(): value.decode() for name, value in starts[0]["headers"]}
    body = b"".join(one.get("body", b"") for one in messages[1:])
    return Answer(starts[0]["status"], headers, body)


class Bench:
    """A guard in front of a model, and how to ask it."""

    def __init__(self, policy: Policy | Path, store: Store | None) -> None:
        self.model = Model()
        self.records: list[Record] = []
        self.guard = Guard(self.model, policy, store=store, observers=[self.records.append])

    async def ask(
        self,
        rows: int = 1,
        client: str | None = "alice",
        *,
        path: str = "/predict",
        method: str = "POST",
        content: bytes | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
        query: bytes = b"",
        label: int = 0,
    ) -> Answer:
        if content is None:
            row = [5.0 if feature == label else 0.0 for feature in range(CLASSES)]
            content = orjson.dumps({"inputs": [row] * rows})
        if headers is None:
            headers = [
                (b"host", b"guard.test"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
            ]
            if client is not None:
                headers.append((b"authorization", f"Bearer {KEYS[client]}".encode()))
        scope = scope_of(method, path, headers, query=query)
        return await call(self.guard, scope, [content])


def policy_table(**changes: Any) -> dict[str, Any]:
    """Returns the words of a policy for the model here, with some tables replaced."""
    table: dict[str, Any] = {
        "guard": {"model": "tiny"},
        "client": [{"name": name, "key": hashed(key)} for name, key in KEYS.items()],
        "wire": [{"name": "json", "route": "/predict"}],
        "budget": [{"name": "daily", "per": "client", "rows": 10}],
    }
    return {**table, **changes}


class Hand:
    """A clock that is set by hand; it begins at noon in UTC."""

    def __init__(self) -> None:
        self.time = 1_760_011_200.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def bench(tmp_path: Path, hand: Hand) -> Callable[..., Bench]:
    """Makes guards that share one store's file and one clock."""

    def make(**changes: Any) -> Bench:
        policy = parse_policy(policy_table(**changes), "policy")
        store = SqliteStore("tiny", tmp_path / "guard.sqlite", clock=hand, create=True)
        return Bench(policy, store)

    return make


def _need(there: bool, what: str) -> None:
    if not there:
        absent(f"no {what} server is installed: apt-get install {what}")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of our own."""
    _need(has_redis(), "redis-server")
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of our own."""
    _need(has_postgres(), "postgresql")
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Each kind of store with an address."""
    kind = str(request.param)
    if kind == "sqlite":
        return kind, str(tmp_path / "guard.sqlite")
    return kind, str(request.getfixturevalue(f"{kind}_url"))


@pytest.fixture
def stores(address: tuple[str, str]) -> Iterator[Callable[..., Store]]:
    """Makes stores of each kind at one address, and closes them."""
    made: list[Store] = []

    def make(
        model: str, clock: Clock | None = None, patience: float = 2.0, create: bool = True
    ) -> Store:
        how: dict[str, Any] = {"patience": patience, "create": create}
        if clock is not None:
            how["clock"] = clock
        made.append(_store(address, model, how))
        return made[-1]

    yield make
    for store in made:
        store.close()


def _store(address: tuple[str, str], model: str, how: dict[str, Any]) -> Store:
    kind, place = address
    if kind == "redis":
        from darkroom.guard.stores.redis import RedisStore

        return RedisStore(model, place, **how)
    if kind == "postgres":
        from darkroom.guard.stores.postgres import PostgresStore

        return PostgresStore(model, place, **how)
    return SqliteStore(model, Path(place), **how)
