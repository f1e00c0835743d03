"""``darkroom guard --workers``: several processes, one budget."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
import tomli_w
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, policy_table
from tests.guard.raw_sockets import Recorder, exchanged, guard_process, statuses
from typer.testing import CliRunner

from darkroom.commands.app import app as command
from darkroom.guard.stores.sqlite import SqliteStore

BODY = b'{"inputs": [[1.5, 3.5]]}'
ASK = (
    f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    f"X-API-Key: {KEYS['alice']}\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


def children(pid: int) -> list[int]:
    """Returns the processes that a process started."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in tasks.read_text().split()]


@pytest.mark.medium
@pytest.mark.parametrize("rows", [40, pytest.param(320, marks=pytest.mark.slow)])
def test_workers_share_a_budget_to_the_last_row(tmp_path: Path, rows: int) -> None:
    upstream = Recorder()
    port = free_port()
    options = ("--workers", "2", "--port", str(port))
    budget = [{"name": "daily", "per": "client", "rows": rows}]
    metrics = {"port": free_port()}
    with guard_process(tmp_path, upstream.url, *options, budget=budget, metrics=metrics) as guard:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(exchanged, port, ASK) for _ in range(rows + 60)]
            answered = [statuses(one.result())[0] for one in asked]
        workers = children(guard.pid)
        # What a worker has leased and not used is given back when its lease ends, not before.
        leased = rows // 64 * 2
        assert rows - leased <= answered.count(200) <= rows
        assert set(answered) == {200, 429}
        assert answered.count(200) == len(upstream.heads)
        assert guard.charged(len(upstream.heads)) == len(upstream.heads)
        url = f"http://127.0.0.1:{metrics['port']}/metrics"
        while _counted(url) != Counter(answered):  # counted after the answer
            time.sleep(0.05)
    assert len(workers) >= 2
    while any(Path(f"/proc/{one}").exists() for one in workers):  # until the test's time is up
        time.sleep(0.05)
    upstream.close()


def _counted(url: str) -> Counter[int]:
    """Returns how many requests had each status, by the metrics of all workers."""
    told = httpx.get(url, trust_env=False).text
    found = re.findall(r'_requests_total\{.*status="(\d+)".*\} (\S+)', told)
    return Counter({int(status): int(float(many)) for status, many in found})


@pytest.mark.medium
@pytest.mark.slow
def test_a_worker_that_dies_takes_no_ledger_with_it(tmp_path: Path) -> None:
    upstream = Recorder()
    port, path = free_port(), tmp_path / "guard.sqlite"
    SqliteStore("tiny", path).begin()
    options = ("--workers", "2", "--port", str(port))
    budget = [{"name": "daily", "per": "client", "rows": 5}]
    store = {"path": str(path)}
    with guard_process(tmp_path, upstream.url, *options, budget=budget, store=store) as guard:
        assert [statuses(exchanged(port, ASK))[0] for _ in range(6)] == [200] * 5 + [429]
        path.unlink()
        before = _workers(guard.pid)
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not set(_workers(guard.pid)) - set(before) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(2)
        answered = [statuses(exchanged(port, ASK))[0] for _ in range(8)]
        assert 200 not in answered, answered
        assert 503 in answered
    assert len(upstream.heads) == 5
    assert not path.exists()
    upstream.close()


def _workers(pid: int) -> list[int]:
    """Returns the workers of a guard, without the processes that Python starts for itself."""
    found = [(one, Path(f"/proc/{one}/cmdline")) for one in children(pid)]
    return [one for one, said in found if said.exists() and b"spawn_main" in said.read_bytes()]


def test_what_workers_cannot_do_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(tomli_w.dumps(policy_table()))
    arguments = ["--policy", str(path), "--upstream", "http://127.0.0.1:9", "--port", "0"]
    done = CliRunner().invoke(command, ["guard", *arguments, "--workers", "2"])
    assert "--port 0 is for one process" in str(done.exception or done.output)
    assert done.exit_code != 0
