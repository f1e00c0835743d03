"""A day of an operator, scripted against real processes: what is asked meanwhile, and what is lost.

Two guards share a Redis, one of them with two workers; a third has SQLite. An honest client asks
all the time. Another spends its budget, before and after everything that happens.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.harms import policy_text
from benchmarks.guard.operating.neighbours import Honest, Model, Redis, Switch, ask
from benchmarks.guard.servers import guard_running, has_redis, served
from darkroom.guard.api_keys import hashed

LIMIT, RAISED = 40, 60
ADDRESS = "DARKROOM_DAY_REDIS"
NAMED = {
    "a worker is killed": "what it had in hand is cut off",
    "Redis is restarted": "503 while the store is away",
    "Redis fails over to its replica": "503 while the store is away or lacks charges",
}
"""Where the docs say that honest requests are lost, and which."""


class Event(NamedTuple):
    """What happened.

    Attributes:
        name: In a few words.
        answered: Honest requests meanwhile.
        lost: Those that were not answered.
        good: Whether what was wanted came to be.
    """

    name: str
    answered: int
    lost: int
    good: bool


class Day:
    """The guards, and what their operator does."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Starts everything."""
        self.folder, self.stack = folder, stack
        self.models = [Model() for _ in range(3)]
        self.urls = [stack.enter_context(served(one.app)) for one in self.models]
        self.primary = Redis(folder / "primary")
        self.replica: Redis | None = None
        self.switch = Switch(self.primary.port)
        stack.callback(self.switch.close)
        stack.callback(self._end_servers)
        os.environ[ADDRESS] = f"redis://127.0.0.1:{self.switch.port}/0"
        self.words = self._policy("faces", {"kind": "redis", "url_env": ADDRESS})
        self.guard = stack.enter_context(
            guard_running(folder / "faces", self.words, self.urls[0], "--workers", "2")
        )
        _until(lambda: ask(self.guard.port, "alice") == 200)
        self.honest = Honest(self.guard.port)
        stack.callback(self.honest.stop)
        self.limit = LIMIT

    def _end_servers(self) -> None:
        for one in (self.primary, self.replica):
            if one is not None and one.process.poll() is None:
                one.end()

    def _policy(self, model: str, store: dict[str, Any]) -> dict[str, Any]:
        return {
            "guard": {"model": model},
            "client": [{"name": name, "key": hashed(f"dk_{name}")} for name in ("alice", "bob")],
            "wire": [{"name": "json"}],
            "store": store,
            "log": {"path": "audit.log"},
            "budget": [
                {"name": "alice", "rows": 10**6, "clients": ["alice"]},
                {"name": "bob", "rows": LIMIT, "clients": ["bob"]},
            ],
        }

    def write(self, words: dict[str, Any]) -> None:
        """Puts a policy in force."""
        self.words = words
        made = self.guard.policy.with_suffix(".new")
        made.write_text(policy_text(words))
        made.replace(self.guard.policy)

    def spend(self) -> int:
        """Lets bob ask until he is refused for long; returns all rows of his that were answered."""
        for _ in range(self.limit + 20):
            ask(self.guard.port, "bob")
        return self.models[0].of("bob")

    def new_client(self) -> bool:
        """Carol comes, with her own budget."""
        words = copy.deepcopy(self.words)
        words["client"].append({"name": "carol", "key": hashed("dk_carol")})
        words["budget"].append({"name": "carol", "rows": 5, "clients": ["carol"]})
        self.write(words)
        _until(lambda: ask(self.guard.port, "carol") == 200)
        for _ in range(30):
            ask(self.guard.port, "carol")
        return self.models[0].of("carol") == 5

    def rotated_key(self) -> bool:
        """Alice gets another key; the old one counts until she uses the new one."""
        words = copy.deepcopy(self.words)
        old, new = {"hash": hashed("dk_alice")}, {"hash": hashed("dk_alice_new")}
        words["client"][0] = {"name": "alice", "keys": [old, new]}
        self.write(words)
        # Each of the workers has to have read it.
        _until(lambda: all(ask(self.guard.port, "alice", "dk_alice_new") == 200 for _ in range(8)))
        self.honest.key = "dk_alice_new"
        time.sleep(0.2)
        words = copy.deepcopy(words)
        words["client"][0]["keys"] = [new]
        self.write(words)
        return _until(
            lambda: all(ask(self.guard.port, "alice", "dk_alice") == 401 for _ in range(8))
        )

    def raised_limit(self) -> bool:
        """Bob has spent all, and gets more."""
        before = self.spend() == self.limit
        words = copy.deepcopy(self.words)
        words["budget"][1]["rows"] = self.limit = RAISED
        self.write(words)
        time.sleep(2.5)
        return before and self.spend() == RAISED

    def second_model(self) -> bool:
        """Another model gets a guard on the same Redis, with budgets of its own."""
        words = self._policy("doses", self.words["store"])
        with guard_running(self.folder / "doses", words, self.urls[1]) as other:
            for _ in range(LIMIT + 20):
                ask(other.port, "bob")
        return self.models[1].of("bob") == LIMIT and self.spend() == self.limit

    def worker_killed(self) -> bool:
        """One of the workers is killed."""
        before = _workers(self.guard.process.pid)
        os.kill(before[0], signal.SIGKILL)
        replaced = _until(lambda: len(set(_workers(self.guard.process.pid)) - set(before)) == 1, 30)
        time.sleep(2)
        return replaced and self.spend() == self.limit

    def redis_restarted(self) -> bool:
        """Redis is ended and started again on what it kept."""
        self.primary.end()
        time.sleep(0.5)
        self.primary.start()
        back = _until(
            lambda: all(ask(self.guard.port, "alice", self.honest.key) == 200 for _ in range(4))
        )
        return back and self.spend() == self.limit

    def failed_over(self) -> bool:
        """The primary dies while it is charged; its replica takes over, if it lacks nothing.

        Where it does, the docs say: restore a later state. That is the primary's own.
        """
        import redis

        self.replica = Redis(
            self.folder / "replica", "--replicaof", f"127.0.0.1 {self.primary.port}"
        )
        with redis.Redis(port=self.replica.port, decode_responses=True) as client:
            _until(lambda: client.info("replication").get("master_link_status") == "up")
            time.sleep(0.5)
            self.primary.end(signal.SIGKILL)
            client.replicaof("NO", "ONE")
        self.switch.turn(self.replica.port)
        served_again = _until(
            lambda: all(ask(self.guard.port, "alice", self.honest.key) == 200 for _ in range(8)), 8
        )
        if not served_again:
            self.primary.start()
            self.switch.turn(self.primary.port)
            served_again = _until(
                lambda: all(ask(self.guard.port, "alice", self.honest.key) == 200 for _ in range(8))
            )
        return served_again and self.spend() == self.limit

    def half_written(self) -> bool:
        """An editor leaves half a policy."""
        text = policy_text(self.words)
        self.guard.policy.write_text(text[: text.index("[[budget]]")])
        time.sleep(2.5)
        held = self.spend() == self.limit
        said = self.guard.said.read_text()
        self.guard.policy.write_text(text)
        return held and "stays in force" in said

    def restored(self) -> bool:
        """A guard with SQLite gets back a copy an hour old, as the docs say."""
        folder = self.folder / "restored"
        words = self._policy("letters", {"path": "guard.sqlite"})
        with guard_running(folder, words, self.urls[2]) as first:
            for _ in range(LIMIT // 2):
                ask(first.port, "bob")
            _backup(folder / "guard.sqlite", folder / "backup.sqlite")
            taken = time.time()
            for _ in range(LIMIT // 4):
                ask(first.port, "bob")
        (folder / "guard.sqlite").unlink()
        for end in ("-wal", "-shm", "-journal"):
            Path(f"{folder / 'guard.sqlite'}{end}").unlink(missing_ok=True)
        shutil.copy(folder / "backup.sqlite", folder / "guard.sqlite")
        # What may be missing stands in the audit log; leased rows were given back at the end.
        lines = [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]
        missing = sum(line["rows"] for line in lines if line["time"] >= taken - 1)
        words["budget"][1]["rows"] = LIMIT - missing
        with guard_running(folder, words, self.urls[2], init=False) as second:
            for _ in range(LIMIT + 20):
                ask(second.port, "bob")
        return LIMIT // 2 < self.models[2].of("bob") <= LIMIT

    def events(self) -> Iterator[Event]:
        """Lets everything happen, one after another."""
        self.honest.taken()
        for name, happens in (
            ("a new client", self.new_client),
            ("a rotated key", self.rotated_key),
            ("a raised limit", self.raised_limit),
            ("a second model", self.second_model),
            ("a worker is killed", self.worker_killed),
            ("Redis is restarted", self.redis_restarted),
            ("Redis fails over to its replica", self.failed_over),
            ("a policy is half written", self.half_written),
            ("a ledger is restored from a copy", self.restored),
        ):
            tell(f"guard: a day of an operator: {name}")
            good = happens()
            seen = self.honest.taken()
            yield Event(name, seen[200], seen.total() - seen[200], good)


def _backup(path: Path, to: Path) -> None:
    with sqlite3.connect(path) as now, sqlite3.connect(to) as then:
        now.backup(then)


def _until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Waits until something is true; returns whether it came to be."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _workers(pid: int) -> list[int]:
    """Returns the workers of a guard, without the processes that Python starts for itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    said = {int(one): Path(f"/proc/{one}/cmdline") for one in children}
    return [
        one for one, line in said.items() if line.exists() and b"spawn_main" in line.read_bytes()
    ]


@contextmanager
def _begun(folder: Path) -> Iterator[Day]:
    with ExitStack() as stack:
        yield Day(folder, stack)


def day_claims() -> tuple[list[Claim], list[Table]]:
    """Plays the day.

    Without a Redis there is no figure, which is a shortfall.
    """
    texts = (
        "guard: a day of an operator: share of events after which all was as it should be",
        "guard: a day of an operator: rows over any budget",
        "guard: a day of an operator: honest requests lost where the docs do not say so",
    )
    if not has_redis():
        return [
            Claim(f"{text} (no Redis here)", float(not place), None, at_most=place > 0)
            for place, text in enumerate(texts)
        ], []
    with tempfile.TemporaryDirectory(prefix="darkroom-day-") as name, _begun(Path(name)) as day:
        events = list(day.events())
        over = sum(
            max(0, model.of("bob") - limit)
            for model, limit in zip(day.models, (RAISED, LIMIT, LIMIT), strict=True)
        ) + max(0, day.models[0].of("carol") - 5)
    lost = sum(one.lost for one in events if one.name not in NAMED)
    rows = [[*one, NAMED.get(one.name, "-")] for one in events]
    columns = ("event", "honest answered", "honest lost", "good", "lost, as the docs say")
    return [
        Claim(texts[0], 1.0, sum(one.good for one in events) / len(events)),
        Claim(texts[1], 0, over, at_most=True),
        Claim(texts[2], 0, lost, at_most=True),
    ], [Table("A day of an operator", columns, rows)]
