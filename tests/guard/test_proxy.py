"""The reverse proxy over real sockets, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, Model, policy_table
from typer.testing import CliRunner

from darkroom.commands.app import app as command
from darkroom.errors import PlanError
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import App, Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy, read_policy
from darkroom.guard.proxy import Proxy
from darkroom.guard.server import plain_http
from darkroom.guard.telemetry.metrics import Metrics

HEAD = {"authorization": f"Bearer {KEYS['alice']}"}


class Upstream:
    """A model's server: plain scores, and a chat that streams for as long as anybody listens."""

    def __init__(self) -> None:
        self.model = Model()
        self.events = 0
        self.cut = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["path"] != "/v1/chat/completions":
            await self.model(scope, receive, send)
            return
        await receive()
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with contextlib.suppress(OSError, asyncio.CancelledError):
            for number in range(400):
                event = {
                    "id": "chatcmpl-1",
                    "object": "chat.completion.chunk",
                    "created": 1,
                    "model": "m",
                    "choices": [
                        {"index": 0, "delta": {"content": str(number)}, "finish_reason": None}
                    ],
                }
                part = b"data: " + orjson.dumps(event) + b"\n\n"
                await send({"type": "http.response.body", "body": part, "more_body": True})
                self.events = number
                waiting = asyncio.ensure_future(receive())
                done, _ = await asyncio.wait({waiting}, timeout=0.02)
                if done:
                    break
                waiting.cancel()
        self.cut.set()


def kept(folder: Path) -> dict[str, Any]:
    """Returns where budgets are kept."""
    return {"path": str(folder / "guard.sqlite"), "create": True}


@contextlib.contextmanager
def served(application: App, **options: Any) -> Iterator[str]:
    port = free_port()
    options = {"log_level": "critical", **options}
    running = uvicorn.Server(uvicorn.Config(application, port=port, **options))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join()


@pytest.fixture
def upstream() -> Iterator[tuple[Upstream, str]]:
    made = Upstream()
    with served(made) as url:
        yield made, url


@pytest.fixture
def guarded(tmp_path: Path, upstream: tuple[Upstream, str]) -> Iterator[tuple[Guard, str]]:
    table = policy_table(
        wire=[{"name": "json", "route": "/predict"}, {"name": "openai"}],
        store=kept(tmp_path),
        limits={"body": 100_000},
    )
    policy = parse_policy(table, "policy")
    guard = Guard(Proxy(policy, upstream[1]), policy)
    with served(guard) as url:
        yield guard, url


@pytest.mark.medium
def test_requests_and_answers_lose_all_that_is_not_needed(
    guarded: tuple[Guard, str], upstream: tuple[Upstream, str]
) -> None:
    body = {"inputs": [[1.0, 0, 0, 0]]}
    headers = {**HEAD, "cookie": "a=b", "x-forwarded-for": "1.2.3.4"}
    with httpx.Client(base_url=guarded[1], trust_env=False) as client:
        answer = client.post("/predict", json=body, headers=headers)
        assert client.get("/health").json() == {"ok": True}
    assert answer.status_code == 200
    assert set(answer.json()) == {"scores"}
    assert "x-upstream" not in answer.headers
    sent = {name.decode() for name, _ in upstream[0].model.seen[0]["headers"]}
    assert not sent & {"authorization", "cookie", "x-forwarded-for"}


@pytest.mark.medium
@pytest.mark.parametrize(
    "raw",
    [
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n",
        b"POST /%70redict HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"POST /x/../predict HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n"
        b"Authorization: Bearer dk_alice\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n",
    ],
)
def test_smuggling_is_refused(
    raw: bytes, guarded: tuple[Guard, str], upstream: tuple[Upstream, str]
) -> None:
    host, port = guarded[1].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(raw + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert answer.split(b" ", 2)[1] in (b"400", b"401", b"413"), answer
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not any(one["path"] != "/health" for one in upstream[0].model.seen)


@pytest.mark.medium
def test_a_client_that_leaves_in_mid_stream_ends_it_and_stays_charged(
    guarded: tuple[Guard, str], upstream: tuple[Upstream, str]
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    url = f"{guarded[1]}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=HEAD, trust_env=False) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
    assert upstream[0].cut.wait(60)
    assert upstream[0].events < 399
    left = httpx.post(url, json={**body, "n": 10, "stream": False}, headers=HEAD, trust_env=False)
    assert left.status_code == 429


@pytest.mark.medium
def test_heads_that_take_too_long_are_cut_off(
    tmp_path: Path, upstream: tuple[Upstream, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.guard.http.protocol.HEAD_SECONDS", 0.3)
    policy = parse_policy(policy_table(store=kept(tmp_path)), "policy")
    with served(Guard(Proxy(policy, upstream[1]), policy), **plain_http()) as url:
        port = int(url.rpartition(":")[2])
        sound = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
            for _ in range(3):  # who asks in time is not cut off, however long the line lasts
                line.sendall(sound)
                answer = line.recv(65536)
                while b"}" not in answer:  # the head may come before the body
                    answer += line.recv(65536)
                assert b" 200 " in answer
                time.sleep(0.2)
            line.sendall(sound[:20])
            began = time.monotonic()
            assert line.recv(65536) == b""
            assert time.monotonic() - began > 0.2
        with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
            assert line.recv(65536) == b""


@pytest.mark.medium
def test_an_upstream_that_is_away_is_502(tmp_path: Path) -> None:
    policy = parse_policy(policy_table(store=kept(tmp_path)), "policy")
    with served(Guard(Proxy(policy, f"http://127.0.0.1:{free_port()}"), policy)) as url:
        answer = httpx.post(
            f"{url}/predict", json={"inputs": [[1.0]]}, headers=HEAD, trust_env=False
        )
    assert answer.status_code == 502


@pytest.mark.medium
@pytest.mark.parametrize("seconds", [0.1, 0.6])
def test_an_upstream_that_hangs_is_504(tmp_path: Path, seconds: float) -> None:
    async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(30)

    table = policy_table(
        store=kept(tmp_path),
        upstream={"seconds": seconds},
    )
    policy = parse_policy(table, "policy")
    with (
        served(hanging, lifespan="off", timeout_graceful_shutdown=0) as upstream,
        served(Guard(Proxy(policy, upstream), policy)) as url,
    ):
        asked: dict[str, Any] = {"json": {"inputs": [[1.0]]}, "headers": HEAD, "trust_env": False}
        answers = [httpx.post(f"{url}/predict", **asked) for _ in range(3)]
    assert [one.status_code for one in answers] == [504] * 3


@pytest.mark.parametrize("url", [None, "ftp://a", "nothing", "http://"])
def test_upstreams_that_are_none_are_refused(url: str | None) -> None:
    with pytest.raises(PlanError):
        Proxy(parse_policy(policy_table(), "policy"), url)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:geheim@host:80",
        "http://me:ge/heim@host:80",
        "http://me:geheim@host:port",
        "me:geheim@host",
        "http://me@geheim@host",
        "http://host?key=geheim",
    ],
)
def test_messages_hold_no_passwords_of_addresses(url: str) -> None:
    tables = [
        policy_table(upstream={"url": url}),
        policy_table(model=[{"name": "one", "paths": ["/predict"], "url": url}]),
    ]
    for table in tables:
        with pytest.raises(PlanError) as told:
            Proxy(parse_policy(table, "policy"))
        assert "heim" not in str(told.value)
    with pytest.raises(PlanError) as told:
        Proxy(parse_policy(policy_table(), "policy"), url)
    assert "heim" not in str(told.value)


@pytest.mark.medium
def test_metrics_and_the_audit_log_have_no_inputs(
    tmp_path: Path, upstream: tuple[Upstream, str]
) -> None:
    log = tmp_path / "audit.log"
    table = policy_table(log={"path": str(log)}, store=kept(tmp_path))
    policy = parse_policy(table, "policy")
    guard = Guard(Proxy(policy, upstream[1]), policy)
    metrics = Metrics()
    guard.observe(metrics)
    with served(guard) as url:
        for rows in (1, 20):
            content = {"inputs": [[0.123456, 0, 0, 0]] * rows}
            httpx.post(f"{url}/predict", json=content, headers=HEAD, trust_env=False)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["released", "refused"]
    assert (lines[0]["client"], lines[0]["peer"]) == ("alice", "127.0.0.1")
    assert "0.123456" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    charged = metrics.registry.get_sample_value(
        "darkroom_guard_rows_charged_total", {"model": "tiny", "client": "alice"}
    )
    assert charged == 1


def _written(folder: Path, text: str) -> Path:
    path = folder / "guard.toml"
    path.write_text(text)
    return path


GOOD = f"""\
[guard]
model = "tiny"
[[client]]
name = "alice"
key = "{hashed("dk_alice")}"
[[budget]]
name = "daily"
rows = 10
[[wire]]
name = "json"
"""


def test_check_says_what_a_policy_does(tmp_path: Path) -> None:
    path = str(_written(tmp_path, GOOD))
    done = CliRunner().invoke(command, ["guard", "check", path])
    assert (done.exit_code, "darkroom guard init" in done.output) == (2, True)
    assert CliRunner().invoke(command, ["guard", "check", path, "--only-policy"]).exit_code == 0
    assert CliRunner().invoke(command, ["guard", "init", "--policy", path]).exit_code == 0
    done = CliRunner().invoke(command, ["guard", "check", path])
    assert done.exit_code == 0, done.output
    assert "daily: 10 rows per client, window day" in done.output
    assert "no output defence" in done.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("rows = 10", "row = 10"), "did you mean 'rows'"),
        (lambda text: text.replace("[[wire]]", "[[wires]]"), "did you mean 'wire'"),
        (lambda text: text.replace('"json"', '"jason"'), "did you mean 'json'"),
        (lambda text: text + '[[defense]]\nname = "roundin"\n', "did you mean 'rounding'"),
        (lambda text: text.replace("rows = 10", 'rows = 10\nwindow = "1w"'), "1w"),
        (lambda text: text.replace("rows = 10", "rows = 0"), "rows"),
        (lambda text: text.replace("sha256:", ""), "darkroom guard key"),
        (lambda text: text.replace('"tiny"', '"tiny"\nzone = "Mars"'), "time zone"),
        (lambda text: text + '[[client]]\nname = "alice"\nuser = "a"\n', "twice"),
        (lambda text: text + '[[client]]\nname = "bob"\nuser = "a"\n', "[trust] user_header"),
        (lambda text: text + '[store]\nkind = "redis"\n', "url_env"),
        (lambda text: text.split("[[client]]")[0], "client is missing"),
        (lambda text: text + "[", "TOML"),
    ],
)
def test_mistakes_in_policies_are_one_line(
    tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    from darkroom.guard.wire.registry import make_wires

    path = _written(tmp_path, change(GOOD))
    with pytest.raises(PlanError) as found:
        make_wires(read_policy(path))
    assert said in str(found.value)
    assert "\n" not in str(found.value)
    assert hashed("dk_alice")[10:] not in str(found.value)


def test_keys_are_new_and_hashed(tmp_path: Path) -> None:
    made = [
        json.loads(CliRunner().invoke(command, ["guard", "key", "alice", "--json"]).output)
        for _ in range(2)
    ]
    assert made[0]["key"] != made[1]["key"]
    assert made[0]["hash"] == hashed(made[0]["key"])


def test_the_report_says_who_spent_what(tmp_path: Path) -> None:
    path = _written(tmp_path, GOOD)
    for asked in ("init", "report"):
        assert CliRunner().invoke(command, ["guard", asked, "--policy", str(path)]).exit_code == 0

    import asyncio

    from darkroom.guard.budgets.charging import Budgets
    from darkroom.guard.budgets.scopes import Asker
    from darkroom.guard.stores.registry import open_store

    async def spend() -> None:
        policy = read_policy(path)
        budgets = Budgets(policy, open_store(policy))
        assert (await budgets.charge(Asker("alice"), 7)).granted
        await budgets.close()

    asyncio.run(spend())
    done = CliRunner().invoke(command, ["guard", "report", "--policy", str(path), "--json"])
    found = json.loads(done.output)
    assert (found["clients"][0]["name"], found["clients"][0]["today"]) == ("alice", 7)
    assert found["all"]["kept"] == 7


CODE = """
import resource, sys
import darkroom.guard.server, darkroom.guard.proxy, darkroom.guard.detector.detector
import uvicorn
from darkroom.commands.guard import guard
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = {"torch", "sklearn", "scipy", "pandas", "transformers", "aiohttp"} & set(sys.modules)
print(sorted(heavy), used.ru_utime + used.ru_stime)
"""


@pytest.mark.medium
def test_the_guard_starts_fast_and_without_pytorch() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    heavy, seconds = done.stdout.rsplit(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 1.0
