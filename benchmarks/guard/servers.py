"""Servers of one's own for an hour, on loopback, on a free port: Redis, PostgreSQL, any app."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
import uvicorn

from darkroom.guard.http.requests import App

ACCOUNT = "postgres"
"""Whom PostgreSQL runs as where the caller is root, which it refuses."""


def found(name: str) -> str | None:
    """Returns where a server's program is, or ``None``."""
    places = [str(one) for one in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))


def has_redis() -> bool:
    """Tells whether there is a Redis or a Valkey here."""
    return bool(found("redis-server") or found("valkey-server"))


def has_postgres() -> bool:
    """Tells whether there is a PostgreSQL here that may be run."""
    if not (found("initdb") and found("postgres")):
        return False
    return os.getuid() != 0 or _exists(ACCOUNT)


def free_port() -> int:
    """Returns a port that nobody listens on, below those that outgoing connections take."""
    for port in random.SystemRandom().sample(range(10_000, 30_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no port is free")


@contextmanager
def served(application: App) -> Iterator[str]:
    """Serves an application from a thread, and gives its address."""
    port = free_port()
    config = uvicorn.Config(application, port=port, log_level="warning", lifespan="on")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        if not thread.is_alive():
            raise RuntimeError("the server ended before it began")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join()


@contextmanager
def redis_server(*, durable: bool = True, port: int | None = None) -> Iterator[str]:
    """Runs a Redis that syncs every command, and gives its address."""
    program = found("redis-server") or found("valkey-server")
    assert program is not None
    chosen = port or free_port()
    with tempfile.TemporaryDirectory(prefix="darkroom-redis-") as folder:
        appends = ["--appendonly", "yes", "--appendfsync", "always"] if durable else []
        command = [program, "--port", str(chosen), "--bind", "127.0.0.1", "--dir", folder]
        with _running([*command, "--save", "", *appends], chosen):
            yield f"redis://127.0.0.1:{chosen}/0"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Runs a PostgreSQL with a cluster of its own, and gives its address."""
    account = ACCOUNT if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="darkroom-postgres-"))
    try:
        if account is not None:
            shutil.chown(folder, account)
        data, port = folder / "data", free_port()
        initdb, postgres = found("initdb"), found("postgres")
        assert initdb is not None
        assert postgres is not None
        made = [initdb, "-D", str(data), "-A", "trust", "-U", "guard", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, user=account, group=account)
        command = [postgres, "-D", str(data), "-p", str(port), "-k", str(folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=on"]
        with _running(command, port, account):
            yield f"postgresql://guard@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], port: int, account: str | None = None) -> Iterator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd="/", user=account, group=account
        )
        try:
            for _ in range(600):
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} ended: {log.read()[-500:].decode()}")
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            time.sleep(0.3)
            yield
        finally:
            process.send_signal(signal.SIGINT)  # to PostgreSQL: do not wait for clients to leave
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Running(NamedTuple):
    """A guard in a process of its own.

    Attributes:
        process: It.
        port: Where it listens.
        policy: Its policy's file.
        said: Where its standard error goes.
    """

    process: subprocess.Popen[bytes]
    port: int
    policy: Path
    said: Path


START = "import sys; from darkroom.commands.main import main; sys.argv[0] = 'darkroom'; main()"


def darkroom(*arguments: str) -> list[str]:
    """Returns a command line of ours, with this Python."""
    return [sys.executable, "-c", START, *arguments]


@contextmanager
def guard_running(
    folder: Path, words: dict[str, Any], upstream: str, *more: str, init: bool = True
) -> Iterator[Running]:
    """Runs ``darkroom guard`` on a free port, from a policy file, until it is left.

    Args:
        folder: For its files; made where there is none.
        words: The policy's.
        upstream: The model's server.
        more: Further arguments.
        init: Whether to begin the ledger first.
    """
    folder.mkdir(exist_ok=True)
    policy, said, port = folder / "guard.toml", folder / "said.txt", free_port()
    policy.write_text(tomli_w.dumps(words))
    if init:
        command = darkroom("guard", "init", "--policy", str(policy))
        subprocess.run(command, check=True, capture_output=True)
    command = darkroom("guard", "--policy", str(policy), "--upstream", upstream)
    with said.open("ab") as log:
        process = subprocess.Popen([*command, "--port", str(port), *more], stderr=log)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(f"the guard ended: {said.read_text()[-500:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Running(process, port, policy, said)
    finally:
        process.terminate()
        process.wait(60)


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True
