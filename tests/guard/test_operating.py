"""What operators do in the first weeks: keys that change, probes, a look before the start."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, Answer, Bench, call, policy_table, scope_of
from tests.guard.raw_sockets import Recorder
from tests.guard.test_proxy import kept, served
from typer.testing import CliRunner

from darkroom.commands.app import app as command
from darkroom.errors import PlanError
from darkroom.guard.api_keys import hashed
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.proxy import Proxy

Make = Callable[..., Bench]
NOW = datetime.datetime(2026, 11, 29, 6, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
BODY = b'{"inputs": [[1.0, 0, 0, 0]]}'


async def ask(made: Bench, key: str) -> int:
    head = [(b"host", b"a"), (b"content-type", b"application/json"), (b"x-api-key", key.encode())]
    return (await call(made.guard, scope_of("POST", "/predict", head), [BODY])).status


def test_a_key_takes_anothers_place_without_a_second_budget(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [
        {"hash": hashed("dk_old"), "until": NOW + HOUR},
        {"hash": hashed("dk_new"), "since": NOW - HOUR},
        {"hash": hashed("dk_later"), "since": NOW + HOUR},
    ]
    made = bench(client=[{"name": "alice", "keys": keys}], budget=[{"name": "daily", "rows": 4}])
    time = NOW.timestamp()
    monkeypatch.setattr("darkroom.guard.authentication.now", lambda: time)

    async def every() -> list[int]:
        nonlocal time
        first = [await ask(made, key) for key in ("dk_old", "dk_new", "dk_later")]
        time += 3601
        second = [await ask(made, key) for key in ("dk_old", "dk_new", "dk_later", "dk_later")]
        return first + second

    assert asyncio.run(every()) == [200, 200, 401, 401, 200, 200, 429]


@pytest.mark.parametrize(
    "keys",
    [
        [{"hash": hashed("dk_a")}, {"hash": hashed("dk_a")}],
        [{"hash": "sha256:no"}],
        [{"hash": hashed("dk_a"), "since": NOW, "until": NOW - HOUR}],
        [{"hash": hashed("dk_a"), "until": NOW.replace(tzinfo=None)}],
    ],
)
def test_keys_that_are_none_are_refused(keys: list[dict[str, Any]]) -> None:
    with pytest.raises(PlanError) as found:
        parse_policy(policy_table(client=[{"name": "alice", "keys": keys}]), "p")
    assert hashed("dk_a")[10:] not in str(found.value)


def get(guard: Guard, path: str, method: str = "GET") -> Answer:
    return asyncio.run(call(guard, scope_of(method, path, [(b"host", b"a")]), [b""]))


@pytest.mark.medium
def test_probes_tell_of_the_ledger_and_the_upstream(tmp_path: Path) -> None:
    policy = parse_policy(policy_table(store=kept(tmp_path)), "p")
    with served(Bench(policy, None).model, lifespan="off") as upstream:
        guard = Guard(Proxy(policy, upstream), policy)
        assert get(guard, "/-/live").json == {"live": True}
        ready = get(guard, "/-/ready")
        assert (ready.status, ready.json) == (200, {"ready": True})
        assert (get(guard, "/-/ready", "HEAD").body, get(guard, "/-/other").status) == (b"", 404)
        (tmp_path / "guard.sqlite").unlink()
        ready = get(guard, "/-/ready")
        assert (ready.status, ready.json["missing"]) == (503, ["ledger"])
    away = Guard(Proxy(policy, f"http://127.0.0.1:{free_port()}"), policy)
    assert get(away, "/-/ready").json["missing"] == ["upstream"]
    assert get(away, "/-/live").status == 200


def test_a_look_before_the_start_finds_a_port_that_cannot_be_guarded(tmp_path: Path) -> None:
    upstream = Recorder()
    store = {"path": str(tmp_path / "guard.sqlite"), "create": True}
    path = tmp_path / "guard.toml"
    path.write_text(tomli_w.dumps(policy_table(upstream={"url": upstream.url}, store=store)))
    assert CliRunner().invoke(command, ["guard", "check", str(path)]).exit_code == 0
    # What a server of gRPC says to HTTP/1.1: its settings, and that it goes.
    upstream.answer = lambda line: line.sendall(b"\0\0\0\4\0\0\0\0\0\0\0\x08\7\0")
    done = CliRunner().invoke(command, ["guard", "check", str(path)])
    assert done.exit_code == 2
    assert "a gRPC port cannot be guarded" in done.output
    upstream.close()


def test_a_look_before_the_start_finds_what_is_not_there(tmp_path: Path) -> None:
    upstream: dict[str, Any] = {"url": f"http://127.0.0.1:{free_port()}"}
    table = policy_table(
        upstream=upstream,
        log={"path": str(tmp_path / "none" / "audit.log")},
        store={"path": str(tmp_path / "away" / "guard.sqlite")},
    )
    path = tmp_path / "guard.toml"

    def said() -> str:
        path.write_text(tomli_w.dumps(table))
        done = CliRunner().invoke(command, ["guard", "check", str(path)])
        assert done.exit_code == 2
        return done.output

    output = said()
    assert "nobody takes a connection" in output
    assert output.count("there is no folder") == 2
    upstream["headers_from_env"] = {"authorization": "DARKROOM_TEST_UNSET"}
    table["store"] = {"kind": "redis", "url_env": "DARKROOM_TEST_UNSET_TOO"}
    output = said()
    assert "no DARKROOM_TEST_UNSET\n" in output
    assert "no DARKROOM_TEST_UNSET_TOO" in output
    assert KEYS["alice"] not in output
