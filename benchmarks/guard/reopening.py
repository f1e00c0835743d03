"""Re-opening: spent budgets stay spent, whatever happens to policy and ledger.

``python -m benchmarks.guard.reopening KIND ADDRESS SEED [--quick]`` prints a line of JSON a
scenario: a way (:mod:`benchmarks.guard.harms`), 1 or 4 workers, with crashes between or without.

Workers are forks of this process, each with a guard that reads the policy from its file, in front
of an application that notes the rows it is asked about *before* it answers. Their clients spend the
budget; then the harm is done; then they ask for twice the budget again. With crashes, one worker is
killed before the harm and another takes its place after it, and so again in mid-work.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.guard.harms import LEDGERS, POLICIES, Copy, Place, Way, mend_settings
from benchmarks.guard.never_over import KEY, asked_of
from darkroom.errors import DarkroomError
from darkroom.guard import middleware
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import read_policy
from darkroom.guard.stores.registry import open_store

LIMIT, ROWS = 130, 5
"""Rows of the budget, of which workers lease 2 at a time, and rows of a request."""

ADDRESS = "DARKROOM_REOPENING"
COPY = "ledger: an older copy is put back"


class Reopened(NamedTuple):
    """What one scenario came to.

    Attributes:
        store: Its kind.
        way: What was done.
        workers: How many.
        crashes: Whether some of them died.
        over: Rows that reached the model beyond the budget.
        raw: Rows that left without the output defence.
        told: Whether a line of the log says so.
    """

    store: str
    way: str
    workers: int
    crashes: bool
    over: int
    raw: int
    told: bool


class Worker:
    """A process with a guard, that asks it when it is told to."""

    def __init__(self, place: Place, folder: Path) -> None:
        """Forks it."""
        told, self._tell = os.pipe()
        self._answers, answered = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self._tell)
            try:
                _work(place, folder, told, answered)
            finally:
                os._exit(1)
        os.close(told)
        os.close(answered)

    def ask(self, requests: int) -> dict[str, int]:
        """Lets it ask, and returns how many rows it was answered, and how many of them raw."""
        os.write(self._tell, b"%d\n" % requests)
        line = b""
        while not line.endswith(b"\n"):
            part = os.read(self._answers, 65536)
            assert part, "a worker ended"
            line += part
        found: dict[str, int] = json.loads(line)
        return found

    def kill(self) -> None:
        """Ends it at once."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._tell)
        os.close(self._answers)


def scenarios(kind: str, address: str, seed: int, *, quick: bool) -> Iterator[Reopened]:
    """Plays all ways on one store.

    Args:
        kind: Of the store.
        address: The file of SQLite, the address of the others.
        seed: Part of the names of ledgers.
        quick: Whether to play each way with one worker that lives and with four of which some die,
            and leave out the rest.
    """
    os.environ[ADDRESS] = address
    middleware.LOOK_EVERY = 0.0  # a look at the policy with every request instead of each second
    settings = [(1, False), (4, True)] if quick else [(1, False), (1, True), (4, False), (4, True)]
    ways = [*POLICIES, *LEDGERS[kind], Way(COPY, _nothing)]
    with tempfile.TemporaryDirectory(prefix="darkroom-reopening-") as name:
        number = 0
        for way in ways:
            for workers, crashes in settings:
                number += 1
                folder = Path(name) / str(number)
                folder.mkdir()
                place = _place(kind, address, f"reopening-{seed}-{number}", folder)
                yield _played(place, way, workers, crashes, folder)


def _nothing(_: Place) -> None:
    """Stands for the copy, which is taken in mid-work."""


def _place(kind: str, address: str, model: str, folder: Path) -> Place:
    path = str(folder / "guard.sqlite") if kind == "sqlite" else address
    store: dict[str, Any] = {"kind": kind, "patience": 20.0}
    store |= {"path": path} if kind == "sqlite" else {"url_env": ADDRESS}
    words = {
        "guard": {"model": model},
        "client": [{"name": "alice", "key": hashed(KEY)}],
        "wire": [{"name": "json"}],
        "store": store,
        "budget": [{"name": "mine", "per": "client", "rows": LIMIT}],
        "defense": [{"name": "rounding", "decimals": 1}],
    }
    place = Place(kind, path, model, folder / "guard.toml", words)
    place.write(place.written())
    return place


def _played(place: Place, way: Way, workers: int, crashes: bool, folder: Path) -> Reopened:
    mend_settings(place)
    begun = open_store(read_policy(place.policy))
    begun.begin()
    begun.close()
    staff = [Worker(place, folder) for _ in range(workers)]
    requests = LIMIT // ROWS
    try:
        copy = None
        for one in staff:
            one.ask(requests // 2 // workers)
        if way.name == COPY:
            copy = Copy(place)
        for one in staff:
            one.ask(requests + 3)
        if crashes:
            staff[0].kill()
        said = _size(folder / "log")
        way.harm(place) if copy is None else copy.put_back()
        raw = 0
        if crashes:
            staff[0] = Worker(place, folder)
        for turn in range(2):
            raw += sum(one.ask(requests + 3)["raw"] for one in staff)
            if crashes and turn == 0:
                staff[-1].kill()
                staff[-1] = Worker(place, folder)
        over = max(0, _noted(folder / "asked") - LIMIT)
        return Reopened(
            place.kind, way.name, workers, crashes, over, raw, _told(folder / "log", said)
        )
    finally:
        for one in staff:
            one.kill()


def _told(log: Path, since: int) -> bool:
    """Tells whether a line of the log says that something is wrong, after so many bytes."""
    lines = log.read_bytes()[since:].decode().splitlines()
    return any(line.startswith("ERROR") for line in lines)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _noted(path: Path) -> int:
    return sum(int(line) for line in path.read_bytes().split()) if path.exists() else 0


def _work(place: Place, folder: Path, told: int, answered: int) -> None:
    """Serves in a worker until nobody tells it more."""
    logging.basicConfig(
        filename=folder / "log", level=logging.INFO, format="%(levelname)s %(message)s", force=True
    )
    asked = os.open(folder / "asked", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    asyncio.run(_serve(place, asked, told, answered))


async def _serve(place: Place, asked: int, told: int, answered: int) -> None:
    guard: Guard | None = None
    while line := os.read(told, 64):
        rows = raw = 0
        for _ in range(int(line)):
            try:
                guard = guard or Guard(_application(asked), place.policy)
            except DarkroomError as error:  # a policy that cannot be read: nobody is served
                logging.getLogger("darkroom.guard").error("%s", error)
                break
            status, content = await asked_of(guard, ROWS)
            scores = orjson.loads(content)["scores"] if status == 200 else []
            rows += len(scores)
            raw += sum(one[0] != 0.7 for one in scores)  # rounded from 0.7345
        os.write(answered, json.dumps({"rows": rows, "raw": raw}).encode() + b"\n")


def _application(asked: int) -> Any:
    async def application(_: Scope, receive: Receive, send: Send) -> None:
        rows = len(orjson.loads((await receive())["body"])["inputs"])
        os.write(asked, b"%d\n" % rows)
        body = orjson.dumps({"scores": [[0.7345, 0.2655]] * rows})
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def main(arguments: list[str]) -> int:
    """Plays all scenarios of a store and prints them.

    Returns:
        0; what was found is for the reader to judge.
    """
    kind, address, seed, *more = arguments
    for one in scenarios(kind, address, int(seed), quick="--quick" in more):
        print(json.dumps(one._asdict()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
