"""The guard in front of a server that is not ours, against an attack that succeeds without it."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest
import uvicorn
from benchmarks.guard_servers import free_port
from numpy.typing import NDArray
from tests.guard.conftest import Hand, call
from tests.targets.test_mlserver import (  # noqa: F401 - fixtures
    SHAPE,
    SIDE,
    MLServer,
    Model,
    model,
    python,
    server,
)

from darkroom.access import Access
from darkroom.attacks.evolution import EvolutionAttack
from darkroom.data.employees import render_faces
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import hashed, parse_policy
from darkroom.guard.proxy import Proxy
from darkroom.guard.requests import Message, Receive, Scope, Send
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.ledger import QueryLedger
from darkroom.priors.images import EigenfacePrior
from darkroom.report.budget import Policy as Rate
from darkroom.targets.base import Target
from darkroom.targets.http import HttpTarget
from darkroom.targets.load import open_target
from darkroom.targets.sections import OpenInferenceSection
from darkroom.targets.view import View

pytestmark = pytest.mark.slow

PER_DAY, ROWS, SURE = 10, 600, 0.8
GOALS = np.array([0, 5, 11])
KEY = "dk_attacker"


class Patient:
    """An attacker who waits: a refusal moves the clock to when the guard says to come again."""

    def __init__(self, guard: Guard, hand: Hand) -> None:
        self.guard, self.hand = guard, hand
        self.waited = 0
        self.waits = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.guard(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        for _ in range(3):
            sent: list[Message] = []
            answer = await call(self.guard, scope, [body], sent)
            if answer.status != 429 or not self.waits:
                break
            self.waited += 1
            self.hand.time += int(answer.headers["retry-after"])
        for message in sent:
            if message["type"] == "http.response.start":
                # Our own client would wait for the day to end; this one has its own way to wait.
                kept = [one for one in message["headers"] if not one[0].startswith(b"ratelimit")]
                message = {**message, "headers": kept}
            await send(message)


class Guarded(NamedTuple):
    url: str
    patient: Patient


@pytest.fixture
def guarded(server: MLServer, tmp_path: Path, hand: Hand) -> Iterator[Guarded]:  # noqa: F811
    policy = parse_policy(
        {
            "guard": {"model": "faces"},
            "client": [{"name": "attacker", "key": hashed(KEY)}],
            "wire": [{"name": "open-inference"}],
            "budget": [{"name": "daily", "per": "client", "rows": PER_DAY}],
        },
        "policy",
    )
    store = SqliteStore("faces", tmp_path / "guard.sqlite", clock=hand)
    patient = Patient(Guard(Proxy(policy, server.url), policy, store=store), hand)
    port = free_port()
    running = uvicorn.Server(uvicorn.Config(patient, port=port, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield Guarded(f"http://127.0.0.1:{port}", patient)
    running.should_exit = True
    thread.join()


def remote(url: str) -> HttpTarget:
    section = OpenInferenceSection(
        kind="http",
        protocol="v2",
        url=url,
        model="faces",
        output="predict_proba",
        shape=list(SHAPE),
        flat=True,
        batch=1,
        concurrency=1,
        api_key_env="GUARD_KEY",
    )
    target = open_target(section, authorized_by="the tests")
    assert isinstance(target, HttpTarget)
    return target


def curve(target: Target) -> list[tuple[int, NDArray[np.float64]]]:
    """Runs the attack; after so many queries in all, how sure the model is of each person."""
    strangers = render_faces(30, 3, role="strangers", size=SIDE).images.reshape(-1, *SHAPE)
    prior = EigenfacePrior.fit(strangers, target.spec, components=40, augmentation=2)
    view = View(target, Access.SCORES, QueryLedger(len(GOALS)))
    found = EvolutionAttack(rows=ROWS).run(view, prior, GOALS, rng=np.random.default_rng(7))
    return [(int(np.sum(one.queries)), np.asarray(one.confidence, float)) for one in found]


def first(points: list[tuple[int, NDArray[np.float64]]]) -> int:
    """After how many queries in all the model is sure of half of the people, or the last."""
    return next((asked for asked, sure in points if np.median(sure) >= SURE), math.inf)  # type: ignore[return-value]


def test_ten_a_day_hold_an_attack_off_for_as_long_as_its_curve_says(
    model: Model,  # noqa: F811
    server: MLServer,  # noqa: F811
    guarded: Guarded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GUARD_KEY", KEY)
    alone = curve(model.here)
    needed = first(alone)
    assert needed < math.inf, "without the guard the attack succeeds"
    begun, before = guarded.patient.hand.time, server.requests
    target = remote(guarded.url)
    opened = server.requests - before  # rows that finding out about the server cost
    try:
        behind = curve(target)
    finally:
        target.close()
    rows = server.requests - before
    days = (guarded.patient.hand.time - begun) / 86_400
    assert [asked for asked, _ in behind] == [asked for asked, _ in alone]
    # Noon to midnight is the first day, and each has ten rows and no more.
    assert rows <= PER_DAY * (math.floor(days + 0.5) + 1)
    assert days >= rows / PER_DAY - 1.5
    assert guarded.patient.waited == math.ceil(rows / PER_DAY) - 1
    held = {accounts: needed / Rate(PER_DAY, accounts).rate for accounts in (1, 100)}
    assert held[1] > 10
    with capsys.disabled():
        sys.stdout.write(
            f"\n{needed} rows until half of {len(GOALS)} people ({opened:.0f} more to begin): "
            f"{held[1]:.0f} days with 1 account, {held[100]:.1f} with 100\n"
        )


def test_without_waiting_the_attack_gets_ten_rows(
    model: Model,  # noqa: F811
    server: MLServer,  # noqa: F811
    guarded: Guarded,
) -> None:
    guarded.patient.waits = False
    before = server.requests
    row = [0.5] * (3 * SIDE * SIDE)
    body = {
        "inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": row}],
        "outputs": [{"name": "predict_proba"}],
    }
    head = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=guarded.url, trust_env=False, headers=head) as client:
        statuses = [client.post("/v2/models/faces/infer", json=body).status_code for _ in range(15)]
        assert client.get("/v2/health/ready").status_code == 200
    assert statuses == [200] * 10 + [429] * 5
    assert server.requests - before == 10
