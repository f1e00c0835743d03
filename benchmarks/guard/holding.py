"""The guard in front of a server that is not ours, against an attack that succeeds without it."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.servers import served
from benchmarks.remote.mlserver import (
    SHAPE,
    SIDE,
    MLServer,
    MLServerError,
    Model,
    fit_model,
    python_with_mlserver,
    remote_model,
)
from darkroom.access import Access
from darkroom.demo.people.employees import render_faces
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Message, Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.proxy import Proxy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.targets.base import Target
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.report.budget import Policy as Rate
from darkroom.vision.priors.spaces import EigenfacePrior

PER_DAY, ROWS, SURE = 10, 600, 0.8
GOALS = np.array([0, 5, 11])
KEY, KEY_ENV = "dk_attacker", "DARKROOM_BENCHMARK_KEY"
DAY, NOON = 86_400, 1_760_011_200.0


class Patient:
    """An attacker who waits: a refusal moves the clock to when the guard says to come again.

    Attributes:
        time: The clock's, in seconds; it begins at noon in UTC.
        waited: How often a refusal moved it.
        waits: Whether it does.
    """

    def __init__(self, url: str, folder: Path) -> None:
        """Puts a guard with ten rows a day in front of a server.

        Args:
            url: The server's.
            folder: For the guard's store.
        """
        policy = parse_policy(
            {
                "guard": {"model": "faces"},
                "client": [{"name": "attacker", "key": hashed(KEY)}],
                "wire": [{"name": "open-inference"}],
                "budget": [{"name": "daily", "per": "client", "rows": PER_DAY}],
            },
            "policy",
        )
        store = SqliteStore("faces", folder / "guard.sqlite", clock=lambda: self.time, create=True)
        self.guard = Guard(Proxy(policy, url), policy, store=store)
        self.time, self.waited, self.waits = NOON, 0, True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, a second time where the guard said to come again."""
        if scope["type"] != "http":
            await self.guard(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        sent = await self._answer(scope, body)
        if self.waits and sent[0]["status"] == 429:
            self.waited += 1
            self.time += int(dict(sent[0]["headers"])[b"retry-after"])
            sent = await self._answer(scope, body)
        # Our own client would wait for the day to end; this one has its own way to wait.
        kept = [one for one in sent[0]["headers"] if not one[0].startswith(b"ratelimit")]
        for message in ({**sent[0], "headers": kept}, *sent[1:]):
            await send(message)

    async def _answer(self, scope: Scope, body: bytes) -> list[Message]:
        sent: list[Message] = []
        left = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return left.pop() if left else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.guard(scope, receive, send)
        return sent


@contextmanager
def guarded(server: MLServer, folder: Path) -> Iterator[tuple[str, Patient]]:
    """Serves the guard, and gives its address."""
    folder.mkdir()
    patient = Patient(server.url, folder)
    with served(patient) as url:
        yield url, patient


class Milestone(NamedTuple):
    """What the attack had at some time.

    Attributes:
        asked: Queries in all.
        confidence: How sure the model is of each person.
        day: Of the guard's clock, from its noon.
    """

    asked: int
    confidence: NDArray[np.float64]
    day: float


def attack(target: Target, patient: Patient | None = None) -> list[Milestone]:
    """Runs the attack, on the model itself or behind a guard with this attacker's patience."""
    strangers = render_faces(30, 3, role="strangers", size=SIDE).images.reshape(-1, *SHAPE)
    prior = EigenfacePrior.fit(strangers, target.spec, components=40, augmentation=2)
    view = View(target, Access.SCORES, QueryLedger(len(GOALS)))
    found = EvolutionAttack(rows=ROWS).run(view, prior, GOALS, rng=np.random.default_rng(7))
    return [
        Milestone(
            int(np.sum(one.queries)),
            np.asarray(one.confidence, float),
            0.0 if patient is None else (patient.time - NOON) / DAY,
        )
        for one in found
    ]


class Held(NamedTuple):
    """What was measured.

    Attributes:
        alone: The attack on the model itself.
        behind: The same attack, patient, behind the guard.
        rows: Rows that the server answered behind the guard, in all.
        opened: Those of them that finding out about the server cost.
        waited: How often the attacker was refused and waited.
        hasty: Of fifteen rows of an attacker who does not wait, those that the server answered.
    """

    alone: list[Milestone]
    behind: list[Milestone]
    rows: int
    opened: int
    waited: int
    hasty: int

    @property
    def needed(self) -> int | None:
        """Rows until the model is sure of half of the people, without the guard."""
        return next((one.asked for one in self.alone if _half(one)), None)

    @property
    def reached(self) -> float | None:
        """Days until it is so behind the guard."""
        return next((one.day for one in self.behind if _half(one)), None)

    @property
    def earliest(self) -> float:
        """Days before which ten a day cannot have let so many rows through; infinite for none.

        Noon to midnight is the first day.
        """
        if self.needed is None:
            return math.inf
        return math.ceil((self.needed + self.opened) / PER_DAY) - 1.5

    @property
    def calendar_days(self) -> int:
        """Days of which the attack saw a part."""
        return math.floor(self.behind[-1].day + 0.5) + 1

    def days_with(self, accounts: int) -> float | None:
        """Days for the rows needed with so many accounts, read off the curve without the guard."""
        return None if self.needed is None else self.needed / Rate(PER_DAY, accounts).rate


def _half(one: Milestone) -> bool:
    return bool(np.median(one.confidence) >= SURE)


def measure(model: Model, server: MLServer, folder: Path) -> Held:
    """Runs the attack without the guard, behind it with patience, and behind it without.

    Args:
        model: What the server serves.
        server: A running one.
        folder: For the guards' stores.
    """
    os.environ[KEY_ENV] = KEY
    alone = attack(model.here)
    before = server.requests
    with guarded(server, folder / "patient") as (url, patient):
        # Rows alone and one after another, so that no row of a day is left unused.
        with closing(remote_model(url, batch=1, concurrency=1, key_env=KEY_ENV)) as target:
            opened = server.requests - before
            behind = attack(target, patient)
        rows, waited = server.requests - before, patient.waited
    before = server.requests
    with guarded(server, folder / "hasty") as (url, patient):
        patient.waits = False
        _ask(url, 15)
    return Held(alone, behind, int(rows), int(opened), waited, int(server.requests - before))


def _ask(url: str, times: int) -> None:
    row = [0.5] * math.prod(SHAPE)
    body = {
        "inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": row}],
        "outputs": [{"name": "predict_proba"}],
    }
    head = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, trust_env=False, headers=head) as client:
        for _ in range(times):
            client.post("/v2/models/faces/infer", json=body)


TEXTS = (
    f"MLServer: confidence in the median of {len(GOALS)} people after {ROWS} rows each, no guard",
    f"MLServer: days until {SURE:g} behind the guard, over the days that the curve says at least",
    "MLServer: rows a calendar day that the patient attack gets through the guard",
    "MLServer: rows that an attack gets in one day of fifteen asked",
)


def holding_claims() -> tuple[list[Claim], list[Table]]:
    """Measures how long ten rows a day hold an attack off a model that MLServer serves.

    Where MLServer cannot be had there is no figure, which is a shortfall.
    """
    tell("guard: an attack on MLServer, with the guard and without")
    try:
        python = python_with_mlserver()
        with tempfile.TemporaryDirectory(prefix="darkroom-mlserver-") as name:
            folder = Path(name)
            model = fit_model(python, folder)
            server = MLServer(python, folder)
            try:
                held = measure(model, server, folder)
            finally:
                server.stop()
    except MLServerError as error:
        tell(str(error))
        bars = ((SURE, False), (1.0, False), (PER_DAY, True), (PER_DAY, True))
        pairs = zip(TEXTS, bars, strict=True)
        return [Claim(f"{text} (no MLServer)", *bar[:1], None, bar[1]) for text, bar in pairs], []
    return _claims(held), [_table(held)]


def _claims(held: Held) -> list[Claim]:
    ratio = None if held.reached is None else held.reached / held.earliest
    return [
        Claim(TEXTS[0], SURE, float(np.median(held.alone[-1].confidence))),
        Claim(TEXTS[1], 1.0, ratio),
        Claim(TEXTS[2], PER_DAY, held.rows / held.calendar_days, at_most=True),
        Claim(TEXTS[3], PER_DAY, float(held.hasty), at_most=True),
    ]


def _table(held: Held) -> Table:
    columns = (
        "rows needed, no guard",
        "days, 1 account",
        "days, 100 accounts",
        "days measured, 1 account",
        "at least, by the calendar",
        "rows in all",
        "refusals",
    )
    row = [
        held.needed,
        held.days_with(1),
        held.days_with(100),
        held.reached,
        held.earliest if held.needed is not None else None,
        held.rows,
        held.waited,
    ]
    title = f"MLServer with {PER_DAY} rows a day: until half of {len(GOALS)} people at {SURE:g}"
    return Table(title, columns, [row])
