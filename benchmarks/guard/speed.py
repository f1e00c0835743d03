"""How fast the guard is, against no guard, a plain proxy, slowapi and PyrateLimiter."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import orjson

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.apps import FEATURES, KEY
from benchmarks.guard.servers import free_port
from darkroom.errors import DarkroomError

BUSY, CALM = 16, 1
"""Connections: enough to keep a server busy, and one to see what a request takes."""

SHARED = 200
"""The budget that eight processes share when they are counted."""

BODIES = 50
"""How many different requests are sent in turn."""

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Load(NamedTuple):
    """What wrk found.

    Attributes:
        rate: Requests a second.
        p50: Milliseconds.
        p99: Milliseconds.
    """

    rate: float
    p50: float
    p99: float


Loads = dict[str, list[Load]]
"""What was found by application, a load each time that it was timed."""


def speed_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times all applications with wrk, in turns, each in a server process with one worker.

    Ratios are medians of those of neighbours in time, since whatever else the machine does slows
    both. What latency the guard adds is the difference of the 99th percentiles, with one
    connection and with as many as keep a server busy, where requests also wait for one another.

    Args:
        quick: Whether to time for a shorter while.
        seed: For the rows.

    Raises:
        DarkroomError: If wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise DarkroomError("wrk is not installed: apt-get install wrk")
    seconds, repeats = (1, 3) if quick else (3, 7)
    names = ("plain", "guarded", "slowapi", "pyrate", "passed", "proxied", "proxied_httpx")
    with tempfile.TemporaryDirectory(prefix="darkroom-speed-") as name:
        folder = Path(name)
        script = written_script(folder, seed)
        with _served("plain", folder) as upstream, _servers(names, folder, upstream) as urls:
            busy = timed(urls, script, BUSY, seconds, repeats)
            calm = timed({one: urls[one] for one in names[:2]}, script, CALM, seconds, repeats)
        admitted = {one: _admitted(one, folder) for one in ("slowapi", "pyrate", "guard")}
    return _claims(busy, calm, admitted["guard"]), _tables(busy, calm, admitted)


def _claims(busy: Loads, calm: Loads, admitted: int) -> list[Claim]:
    def ratio(one: str, other: str) -> float:
        return statistics.median(
            a.rate / b.rate for a, b in zip(busy[one], busy[other], strict=True)
        )

    rates = (
        ("guard: requests a second over those without it, at least", 0.65, "guarded", "plain"),
        ("guard as proxy: requests a second over a plain proxy's", 0.7, "proxied", "passed"),
        ("guard as proxy: over the same with httpx behind it", 4.0, "proxied", "proxied_httpx"),
        ("guard: requests a second over slowapi's", 1.0, "guarded", "slowapi"),
        ("guard: requests a second over PyrateLimiter's (SQLite)", 1.0, "guarded", "pyrate"),
    )
    alone, *others = [Claim(text, bar, ratio(one, other)) for text, bar, one, other in rates]
    latencies = [
        Claim(
            f"guard: p99 latency added at {connections} connection(s), ms, at most",
            3.0,
            _added(loads),
            at_most=True,
        )
        for connections, loads in ((CALM, calm), (BUSY, busy))
    ]
    over = Claim(
        f"guard: rows over a budget of {SHARED} that 8 processes share",
        0,
        max(0, admitted - SHARED),
        at_most=True,
    )
    return [alone, *latencies, *others, over]


def _added(loads: Loads) -> float:
    """Returns the milliseconds that the guard adds to the 99th percentile."""
    pairs = zip(loads["guarded"], loads["plain"], strict=True)
    return statistics.median(guarded.p99 - plain.p99 for guarded, plain in pairs)


def _tables(busy: Loads, calm: Loads, admitted: dict[str, int]) -> list[Table]:
    rows = [
        [name, connections, *(statistics.median(each) for each in zip(*loads, strict=True))]
        for connections, found in ((BUSY, busy), (CALM, calm))
        for name, loads in found.items()
    ]
    return [
        Table(
            f"Requests on loopback, one row of {FEATURES} numbers each",
            ("application", "connections", "requests/s", "p50 ms", "p99 ms"),
            rows,
        ),
        Table(
            "Admitted by 8 processes that share a budget",
            ("by", "budget", "admitted", "over"),
            [[name, SHARED, count, count - SHARED] for name, count in admitted.items()],
        ),
    ]


def timed(
    urls: dict[str, str],
    script: Path,
    connections: int,
    seconds: int,
    repeats: int,
    *,
    path: str = "/predict",
) -> Loads:
    """Times applications in turns.

    Args:
        urls: By name.
        script: Of :func:`written_script`.
        connections: How many at once.
        seconds: For each.
        repeats: How often.
        path: That is asked.
    """
    found: Loads = {name: [] for name in urls}
    for name, url in urls.items():  # once for nothing, to warm up
        _wrk(url + path, script, connections, 1)
        tell(f"timing {name} with {connections} connections")
    for _ in range(repeats):
        for name, url in urls.items():
            found[name].append(_wrk(url + path, script, connections, seconds))
    return found


def _wrk(url: str, script: Path, connections: int, seconds: int) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise DarkroomError(f"requests failed while timing: {done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    times = re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", done.stdout)
    assert rate is not None
    p50, p99 = (float(value) * UNITS[unit] for _, value, unit in times)
    return Load(float(rate[1]), p50, p99)


def _inputs(row: list[float]) -> object:
    return {"inputs": [row]}


def written_script(
    folder: Path, seed: int, request: Callable[[list[float]], object] = _inputs
) -> Path:
    """Writes what wrk sends: rows of its own in turn, so that lengths vary as they do in life.

    Args:
        folder: Where.
        seed: For the rows.
        request: Makes the body of one row.
    """
    rows = np.random.default_rng(seed).normal(size=(BODIES, FEATURES)).round(4)
    bodies = [orjson.dumps(request(row)).decode() for row in rows.tolist()]
    path = folder / "post.lua"
    path.write_text(
        f"local bodies = {{{', '.join(map(repr, bodies))}}}\n"
        "local made, turn = {}, 0\n"
        f"""local headers = {{
            ["content-type"] = "application/json", ["authorization"] = "Bearer {KEY}"
        }}\n"""
        "init = function()\n"
        '  for i, body in ipairs(bodies) do made[i] = wrk.format("POST", nil, headers, body) end\n'
        "end\n"
        "request = function() turn = turn % #made + 1; return made[turn] end\n"
    )
    return path


@contextmanager
def _servers(names: tuple[str, ...], folder: Path, upstream: str) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(_served(name, folder, GUARD_UPSTREAM=upstream))
            for name in names
        }


def _served(name: str, folder: Path, **variables: str) -> AbstractContextManager[str]:
    return served(f"benchmarks.guard.apps:{name}", folder, **variables)


@contextmanager
def served(factory: str, folder: Path, **variables: str) -> Iterator[str]:
    """Serves an application with one worker, and yields its address.

    Args:
        factory: Where it is made, as uvicorn finds it.
        folder: For its files.
        **variables: Of its environment.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", factory, "--factory"]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    environment = {**os.environ, "GUARD_FOLDER": str(folder), **variables}
    process = subprocess.Popen(command, env=environment)
    try:
        for _ in range(300):
            try:
                httpx.get(f"{url}/nothing", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _admitted(name: str, folder: Path) -> int:
    """Counts what eight processes let through of one budget, asking as fast as they can."""
    command = [sys.executable, "-m", "benchmarks.guard.admitted", name, str(folder), str(SHARED)]
    every = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    return sum(int(process.communicate(timeout=120)[0]) for process in every)
