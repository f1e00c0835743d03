"""An operator's commands beside two real workers under load, and nothing over what they opened."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path

import pytest
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS
from tests.guard.raw_sockets import Recorder, exchanged, guard_process, statuses

from darkroom.commands.guard import run
from darkroom.guard.stores.sqlite import SqliteStore

BODY = b'{"inputs": [[1.5, 3.5]]}'
ASK = (
    f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    f"X-API-Key: {KEYS['alice']}\r\nX-Request-ID: load\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


@pytest.mark.medium
def test_workers_heed_operators_at_once_and_open_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = Recorder()
    port, path, log = free_port(), tmp_path / "guard.sqlite", tmp_path / "audit.log"
    policy = tmp_path / "guard.toml"
    SqliteStore("tiny", path).begin()
    options = ("--workers", "2", "--port", str(port))
    tables = {
        "budget": [{"name": "daily", "rows": 5}],
        "store": {"path": str(path)},
        "log": {"path": str(log)},
    }

    def asked(times: int) -> int:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            every = [pool.submit(exchanged, port, ASK) for _ in range(times)]
            return [statuses(one.result())[0] for one in every].count(200)

    with guard_process(tmp_path, upstream.url, *options, **tables):
        why = ["--reason", "a demo", "--policy", str(policy)]
        assert asked(9) == 5
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            loaded = pool.submit(asked, 20)
            assert run(["raise", "daily", "alice", "--rows", "3", *why]) == 0
            admitted = loaded.result() + asked(5)
        assert admitted == 3
        assert run(["reset", "daily", "alice", *why]) == 0
        assert asked(15) == 5 + 3
        assert len(upstream.heads) == 16
        assert all(one.of("x-request-id") == ["load"] for one in upstream.heads)
        capsys.readouterr()
        assert run(["replay", str(log), "--policy", str(policy), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
    # Without what was opened, five rows of all that were asked for.
    (alice,) = told["clients"]
    assert alice["requests"] - alice["refused"]["daily"] == 5
    assert any("Operators opened budgets 2 time(s)" in one for one in told["limits"])
    upstream.close()
