"""A policy names the file of a fitted detector; the guard that reads it watches with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.guard.conftest import KEYS, Bench
from tests.guard.detector.test_detector import CLASSES, WIDTH, Floats, honest, real_inputs, scored

from darkroom.errors import DataError
from darkroom.guard.api_keys import hashed
from darkroom.guard.detector.detector import Detector
from darkroom.guard.detector.features import Space
from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.stores.sqlite import SqliteStore

CLIENTS = ", ".join(f'{{ name = "{name}", key = "{hashed(key)}" }}' for name, key in KEYS.items())
POLICY = f"""\
guard = {{ model = "tiny" }}
client = [{CLIENTS}]
wire = [{{ name = "json", route = "/predict" }}]

[detector]
path = "detector.npz"
tighten = [{{ name = "rounding", decimals = 0 }}]

[log]
path = "log.jsonl"
"""


async def ask(made: Bench, inputs: Floats, client: str) -> list[list[float]]:
    """Asks about rows, one a request, and returns their scores."""
    found = []
    for row in inputs:
        answer = await made.ask(client=client, content=orjson.dumps({"inputs": [row.tolist()]}))
        assert answer.status == 200
        found.append(answer.json["scores"][0])
    return found


class Steadily:
    """A model that is sure of real inputs, and ever surer of small ones that grow."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        row = np.array(orjson.loads((await receive())["body"])["inputs"])
        real = bool(np.abs(row).max() > 1)
        sure = np.full(len(row), 0.93) if real else 0.55 + 0.35 * row[:, 0]
        winners = (np.abs(row[:, 0]) * 1000).astype(int) % CLASSES if real else np.ones(1, int)
        scores = scored(np.random.default_rng(0), winners, sure)
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        body = orjson.dumps({"scores": scores.tolist()})
        await send({"type": "http.response.body", "body": body})


def made_in(folder: Path) -> Bench:
    (folder / "guard.toml").write_text(POLICY)
    store = SqliteStore("tiny", folder / "guard.sqlite", create=True)
    made = Bench(folder / "guard.toml", store)
    made.guard = Guard(
        Steadily(), folder / "guard.toml", store=store, observers=[made.records.append]
    )
    return made


def fit_in(folder: Path) -> None:
    rng = np.random.default_rng(0)
    space = Space.fit(real_inputs(rng, 300), components=5)
    Detector.fit(space, honest(rng, 1500), days=10).save(folder / "detector.npz")


@pytest.mark.medium
def test_a_detector_from_a_file_alarms_about_an_attack_and_tightens(tmp_path: Path) -> None:
    fit_in(tmp_path)
    made = made_in(tmp_path)
    rng = np.random.default_rng(1)
    climb = np.tile(np.linspace(0, 0.9, 60)[:, None], (1, WIDTH))

    async def play() -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
        calm = await ask(made, real_inputs(rng, 20), "alice")
        attack = await ask(made, climb + 0.005 * rng.normal(size=climb.shape), "bob")
        return calm, attack, await ask(made, real_inputs(rng, 3), "alice")

    calm, attack, _ = asyncio.run(play())
    assert all(max(row) == pytest.approx(0.93) for row in calm)
    of_alice, of_bob = made.records[:20], made.records[20:80]
    assert not any(one.alarms for one in of_alice)
    first = next(place for place, one in enumerate(of_bob) if one.alarms)
    assert first < 30
    assert of_bob[first].alarms_begun >= 1
    # From the alarm on, what leaves is rounded to nothing but the winner.
    assert all(set(row) <= {0.0, 1.0} for row in attack[first:])
    assert not any(set(row) <= {0.0, 1.0} for row in attack[:first])
    lines = [orjson.loads(line) for line in (tmp_path / "log.jsonl").read_bytes().splitlines()]
    assert lines[20 + first]["alarms"] == list(of_bob[first].alarms)
    # Of what the detector learned nothing about the clients is kept in its file.
    again = Detector.load(tmp_path / "detector.npz")
    assert again.clients == 0


def test_a_policy_whose_detector_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"detector\.npz: no detector"):
        made_in(tmp_path)
    (tmp_path / "detector.npz").write_bytes(b"PK\x03\x04 of something else")
    with pytest.raises(DataError, match=r"detector\.npz: no detector"):
        made_in(tmp_path)
