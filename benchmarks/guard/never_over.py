"""Never over: many processes with several guards each on one store, killed in mid-work.

``python -m benchmarks.guard.never_over KIND ADDRESS ROUNDS SEED`` prints a line of JSON a round.
Each round has a model of its own in the store, so that it begins with nothing spent. Every process
is a fork of this one, which imports the guard alone: no PyTorch, no threads.

In a process, each guard stands in front of an application that notes the rows it is asked about
*before* it answers; its clients ask as fast as they can. All processes get SIGKILL, each soon after
its clients had a number of answers drawn for it: a slow machine kills as late as a fast one. Then:
released <= asked <= charged <= limit, where *released* are the rows whose answers a client has
seen, *asked* those that the application noted, and *charged* what the store says.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from darkroom.guard.api_keys import hashed
from darkroom.guard.budgets.rules import MODEL, client_subject
from darkroom.guard.http.requests import Message, Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.stores.base import Store
from darkroom.guard.stores.registry import open_store

PROCESSES, GUARDS, CLIENTS = 8, 4, 2
MOST_ANSWERS = 70
KEY = "dk_never_over"
ADDRESS = "DARKROOM_NEVER_OVER"


class Round(NamedTuple):
    """What one round came to, in rows.

    Attributes:
        released: Of answers that clients have seen.
        asked: That reached the model.
        charged: To the client whose budget is the smaller one.
        limit: That budget.
        sound: Whether the store is intact, and the model's rows are the sum of its clients'.
    """

    released: int
    asked: int
    charged: int
    limit: int
    sound: bool

    @property
    def holds(self) -> bool:
        """Whether nothing was given away."""
        return self.released <= self.asked <= self.charged <= self.limit and self.sound


class Child(NamedTuple):
    """A process with guards and clients.

    Attributes:
        process: Its number.
        answers: The end of a pipe where a byte comes for each answer that a client has seen.
    """

    process: int
    answers: int


def rounds(kind: str, address: str, count: int, seed: int) -> Iterator[Round]:
    """Plays rounds against one store.

    Args:
        kind: Of the store.
        address: The file of SQLite, the address of the others.
        count: How many rounds.
        seed: Decides budgets, rows and moments.
    """
    os.environ[ADDRESS] = address
    rng = random.Random(seed)
    gc.freeze()  # so that no child copies all of it to look for garbage
    with tempfile.TemporaryDirectory(prefix="darkroom-never-over-") as folder:
        for number in range(count):
            yield _round(kind, address, f"{seed}-{number}", Path(folder), rng)


def _round(kind: str, address: str, name: str, folder: Path, rng: random.Random) -> Round:
    limit = rng.choice([10, 60, 300, 2000, 20_000, 1_000_000])
    policy = _policy(kind, address, name, limit, rng)
    released, asked = folder / f"{name}.released", folder / f"{name}.asked"
    children = [_fork(policy, released, asked, rng.random()) for _ in range(PROCESSES)]
    _kill(children, rng)
    store = open_store(policy)
    store.open()
    try:
        return _judged(store, limit, released, asked)
    finally:
        store.close()


def _judged(store: Store, limit: int, released: Path, asked: Path) -> Round:
    store.check()
    charged = {
        subject: sum(entry.rows for entry in store.buckets(subject, 0))
        for subject in store.subjects()
    }
    every = charged.pop(MODEL, 0)
    return Round(
        _noted(released),
        _noted(asked),
        charged.get(client_subject("alice"), 0),
        limit,
        every == sum(charged.values()),
    )


def _policy(kind: str, address: str, name: str, limit: int, rng: random.Random) -> Policy:
    store: dict[str, Any] = {"kind": kind, "block": rng.choice([1, 16, 256]), "patience": 20.0}
    store["create"] = True
    store |= {"path": address} if kind == "sqlite" else {"url_env": ADDRESS}
    window = rng.choice(["day", "1h"])
    return parse_policy(
        {
            "guard": {"model": f"round-{name}"},
            "client": [{"name": "alice", "key": hashed(KEY)}],
            "wire": [{"name": "json"}],
            "store": store,
            "budget": [
                {"name": "mine", "per": "client", "rows": limit, "window": window},
                {"name": "all", "per": "model", "rows": 2 * limit},
            ],
        },
        "round",
    )


def _kill(children: list[Child], rng: random.Random) -> None:
    """Kills every process, each after as many answers as are drawn for it and an instant more."""
    left = {child: rng.randint(0, MOST_ANSWERS) for child in children}
    while left:
        ready, _, _ = select.select([child.answers for child in left], [], [])
        for child in [one for one in left if one.answers in ready]:
            answers = os.read(child.answers, 4096)
            left[child] -= len(answers)
            if left[child] <= 0 or not answers:
                time.sleep(rng.uniform(0, 0.003))
                os.kill(child.process, signal.SIGKILL)
                os.close(child.answers)
                os.waitpid(child.process, 0)
                del left[child]


def _fork(policy: Policy, released: Path, asked: Path, seed: float) -> Child:
    answers, told = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            asyncio.run(_clients(policy, released, asked, told, random.Random(seed)))
        finally:
            os._exit(1)
    os.close(told)
    return Child(process, answers)


async def _clients(
    policy: Policy, released: Path, asked: Path, told: int, rng: random.Random
) -> None:
    files = [os.open(one, os.O_WRONLY | os.O_APPEND | os.O_CREAT) for one in (released, asked)]
    guards = [Guard(_application(files[1]), policy) for _ in range(GUARDS)]
    await asyncio.gather(
        *(_ask(guard, files[0], told, random.Random(rng.random())) for guard in guards * CLIENTS)
    )


def _application(file: int) -> Any:
    async def application(_: Scope, receive: Receive, send: Send) -> None:
        rows = len(orjson.loads((await receive())["body"])["inputs"])
        os.write(file, b"%d\n" % rows)
        await asyncio.sleep(0)
        body = orjson.dumps({"scores": [[0.75, 0.25]] * rows})
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


async def _ask(guard: Guard, file: int, told: int, rng: random.Random) -> None:
    while True:
        rows = rng.choice([1, 1, 1, 2, 7])
        status, _ = await asked_of(guard, rows)
        if status == 200:
            os.write(file, b"%d\n" % rows)
        elif status == 429:
            await asyncio.sleep(0.02)
        else:
            os.write(2, b"never over: status %d\n" % status)
        os.write(told, b".")
        await asyncio.sleep(0)


async def asked_of(guard: Guard, rows: int) -> tuple[int, bytes]:
    """Asks a guard without a server in between, and returns status and body.

    Args:
        guard: Whom.
        rows: How many, of two numbers each.
    """
    body = orjson.dumps({"inputs": [[0.5, 0.5]] * rows})
    status, content = 0, b""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, content
        status = int(message.get("status", status))
        content += message.get("body", b"")

    await guard(_scope(body), receive, send)
    return status, content


def _scope(body: bytes) -> Scope:
    headers = [
        (b"host", b"guard"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"authorization", f"Bearer {KEY}".encode()),
    ]
    return {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }


def _noted(path: Path) -> int:
    return sum(int(line) for line in path.read_bytes().split()) if path.exists() else 0


def main(arguments: list[str]) -> int:
    """Plays rounds and prints them.

    Returns:
        0 if all hold, else 1.
    """
    kind, address, count, seed = arguments
    good = True
    for one in rounds(kind, address, int(count), int(seed)):
        print(json.dumps({**one._asdict(), "holds": one.holds}), flush=True)
        good = good and one.holds
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
