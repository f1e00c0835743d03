"""What a policy would have done to traffic that an audit log tells of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.conftest import Bench, Hand, policy_table

from darkroom.commands.guard import run
from darkroom.errors import DataError
from darkroom.guard.detector.detector import Batch, Detector
from darkroom.guard.operating.log_lines import read_log
from darkroom.guard.operating.replay import Replay, replay
from darkroom.guard.operating.tally import Tally
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.base import Charge, Entry, Line

Make = Callable[..., Bench]
NOON = 1_760_011_200.0


def line(
    seconds: float, client: str | None = "alice", rows: int = 1, **more: Any
) -> dict[str, Any]:
    return {
        "time": NOON + seconds,
        "model": "tiny",
        "client": client,
        "path": "/predict",
        "asked": rows,
        "rows": rows,
        "outcome": "released",
        "status": 200,
        **more,
    }


def refused(seconds: float, rows: int | None = 1) -> dict[str, Any]:
    return line(seconds, rows=0) | {
        "asked": rows,
        "outcome": "refused",
        "reason": "Quota exceeded",
        "budget": "daily",
    }


def replayed(folder: Path, *lines: dict[str, Any], **changes: Any) -> Replay:
    path = folder / "audit.log"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return replay(parse_policy(policy_table(**changes), "p"), read_log([path], "tiny"))


def test_a_stricter_policy_refuses_what_it_would_have(tmp_path: Path) -> None:
    made = replayed(
        tmp_path,
        *(line(10 * number, rows=2) for number in range(4)),
        line(100, "bob"),
        budget=[{"name": "few", "rows": 5}],
    )
    alice, bob = made.clients
    assert (alice.client, alice.requests, alice.rows) == ("alice", 4, 8)
    assert (dict(alice.refused), alice.rows_refused, alice.first) == ({"few": 2}, 4, NOON + 20)
    assert (bob.requests, bob.refused.total()) == (1, 0)


def test_one_that_is_looser_admits_what_was_refused(tmp_path: Path) -> None:
    made = replayed(tmp_path, line(0), refused(1, 3), budget=[{"name": "many", "rows": 4}])
    assert (made.clients[0].refused_then, made.clients[0].refused.total()) == (1, 0)
    old = replayed(tmp_path, line(0), refused(1, None), budget=[{"name": "many", "rows": 1}])
    assert old.clients[0].refused.total() == 1
    assert any("do not say how many rows" in one for one in old.limits)


def test_windows_days_groups_models_and_tokens_are_heeded(tmp_path: Path) -> None:
    lines = [line(0), line(60), line(4000), line(5000, path="/other"), line(50_000)]
    hourly = replayed(tmp_path, *lines, budget=[{"name": "a", "rows": 1, "window": "1h"}])
    assert hourly.clients[0].refused.total() == 2
    daily = replayed(tmp_path, *lines, budget=[{"name": "a", "rows": 3}])
    assert daily.clients[0].refused.total() == 1  # the last comes after midnight
    model = [{"name": "one", "paths": ["/predict"]}]
    budget = [{"name": "a", "rows": 2, "models": ["one"]}]
    several = replayed(tmp_path, *lines, model=model, budget=budget)
    assert (several.clients[0].refused.total(), several.elsewhere) == (1, 1)
    long = [line(one, tokens_most=90, tokens=40) for one in range(3)]
    tokens = replayed(tmp_path, *long, budget=[{"name": "a", "tokens": 100}])
    assert (tokens.clients[0].refused.total(), tokens.clients[0].tokens) == (1, 120)


def test_who_is_unknown_or_harmless_costs_nothing(tmp_path: Path) -> None:
    made = replayed(
        tmp_path,
        line(0, None) | {"outcome": "refused", "reason": "Unknown client"},
        line(1, "carol"),
        line(2) | {"outcome": "passed", "asked": 0, "rows": 0},
        line(3) | {"outcome": "refused", "reason": "Input not understood", "asked": 0, "rows": 0},
    )
    assert (list(made.clients), dict(made.strangers)) == ([], {"carol": 1})


def test_what_the_log_cannot_tell_is_said(tmp_path: Path) -> None:
    made = replayed(
        tmp_path,
        line(0, alarms=["client: step"], alarms_begun=1),
        {"time": NOON, "model": "other", "outcome": "released"},
        {"nothing": True},
        budget=[{"name": "a", "per": "class", "rows": 1}],
    )
    said = " ".join(made.limits)
    for part in ("budgets of classes", "neither inputs nor answers", "1 alarm(s)", "other (1)"):
        assert part in said
    assert "1 line(s) could not be read" in said
    assert (made.clients[0].alarms_then, made.clients[0].alarmed_then) == (1, 1)


def test_classes_and_confidences_are_logged_on_request_and_budgets_of_them_replayed(
    bench: Make, tmp_path: Path
) -> None:
    made = bench(log={"path": str(tmp_path / "audit.log"), "scores": True})

    async def ask() -> None:
        for label in (0, 1, 1, 1):
            await made.ask(2, label=label)

    asyncio.run(ask())
    log = read_log([tmp_path / "audit.log"], "tiny")
    assert [one.winners for one in log.requests] == [[0, 0], [1, 1], [1, 1], [1, 1]]
    assert all(0.9 < confidence < 1 for one in log.requests for confidence in one.confidences)
    budget = [{"name": "class", "per": "class", "rows": 5}]
    found = replay(parse_policy(policy_table(budget=budget), "p"), log)
    assert dict(found.clients[0].refused) == {"class": 1}


def test_a_detector_is_tried_on_what_the_log_has_of_scores(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def batch(client: str, climbing: bool) -> Batch:
        sure = np.linspace(0.4, 0.99, 60) if climbing else rng.uniform(0.4, 0.99, 60)
        winners = np.full(60, 1) if climbing else rng.integers(0, 3, 60)
        scores = ((1 - sure) / 2)[:, None] * np.ones((1, 3))
        scores[np.arange(60), winners] = sure
        return Batch(client, None, scores)

    honest = [batch(f"client-{number % 8}", False) for number in range(60)]
    detector = Detector.fit(None, honest, days=10, false_alarms=1)
    lines = []
    for number, (client, climbing) in enumerate([("bob", False)] * 3 + [("alice", True)] * 3):
        scores = batch(client, climbing).scores
        assert scores is not None
        winners, sure = scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist()
        lines.append(line(number, client, 60, winners=winners, confidences=sure))
    (tmp_path / "a").write_text("".join(json.dumps(one) + "\n" for one in [*lines, line(9)]))
    policy = parse_policy(policy_table(budget=[], detector={"path": "none.npz"}), "p")
    made = replay(policy, read_log([tmp_path / "a"], "tiny"), detector)
    alarmed = {one.client: one.alarmed for one in made.clients}
    assert alarmed["bob"] <= 1 < alarmed["alice"]
    said = " ".join(made.limits)
    assert "classes and confidences alone" in said
    assert "1 answer(s) do not say" in said


def test_a_replay_of_the_policy_in_force_says_what_happened(
    bench: Make, hand: Hand, tmp_path: Path
) -> None:
    log = {"path": str(tmp_path / "audit.log")}
    budgets = [{"name": "daily", "rows": 5}, {"name": "hour", "rows": 3, "window": "1h"}]
    made = bench(budget=budgets, log=log)

    async def ask() -> None:
        for number in range(12):
            await made.ask(1 + number % 2, client="bob" if number % 3 else "alice")

    asyncio.run(ask())
    policy = made.guard.active.policy
    found = replay(policy, read_log([tmp_path / "audit.log"], "tiny"))
    assert sum(one.refused.total() for one in found.clients) == sum(
        record.outcome == "refused" for record in made.records
    )
    assert sum(one.refused_then for one in found.clients) > 3


@pytest.mark.parametrize("content", [b"{\n", b"[1]\n", b"\xff\xfe\n", b'{"time": 1}\n'])
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="no line is of a guard's audit log"):
        read_log([tmp_path / "a"], "tiny")
    with pytest.raises(DataError, match="cannot be read"):
        read_log([tmp_path / "none"], "tiny")


def test_the_command_prints_a_table_and_what_it_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit.log").write_text("".join(json.dumps(line(n)) + "\n" for n in range(3)))
    table = policy_table(budget=[{"name": "few", "rows": 2}])
    (tmp_path / "p.toml").write_text(tomli_w.dumps(table))
    words = ["replay", str(tmp_path / "audit.log"), "--policy", str(tmp_path / "p.toml")]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "What the log cannot tell:" in shown
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clients"][0]["refused"] == {"few": 1}


@given(st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 5)), max_size=30))
def test_sums_in_memory_are_those_of_plain_code(asked: list[tuple[int, int]]) -> None:
    tally, charged = Tally(), list[tuple[int, int]]()
    time = 0
    for step, rows in asked:
        time += step
        until, since = (time // 60_000 + 1) * 60_000, time - 120_000
        fits = sum(n for end, n in charged if end > since) + rows <= 9
        made = tally.charge(Charge((Entry("a", until, rows),), (Line("a", since, 9),)), time)
        assert made.granted == fits
        if fits:
            charged.append((until, rows))
