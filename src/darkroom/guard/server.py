"""Running the proxy with everything that a policy asks for, in one process or in several."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from darkroom.errors import MissingExtraError, PlanError
from darkroom.guard.budgets.charging import Budgets
from darkroom.guard.gateways.authorization import Authorization
from darkroom.guard.http.requests import App
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import Policy, read_policy
from darkroom.guard.proxy import Proxy
from darkroom.guard.sections import LimitSection, MetricsSection
from darkroom.guard.stores.base import NoLedgerError, StoreError

if TYPE_CHECKING:
    import uvicorn
    from prometheus_client import CollectorRegistry

POLICY, UPSTREAM = "DARKROOM_GUARD_POLICY", "DARKROOM_GUARD_UPSTREAM"
"""Where a worker finds what to serve, in its environment."""

SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where the client of Prometheus finds the folder that all workers count in."""


def run_proxy(
    policy: Path,
    upstream: str | None,
    host: str,
    port: int,
    *,
    workers: int = 1,
    say: Callable[[str], None],
) -> NoReturn:
    """Serves a policy in front of an upstream until interrupted.

    Args:
        policy: Its file.
        upstream: The model's server, in place of the policy's.
        host: Where to listen.
        port: There; 0 for any.
        workers: Processes that serve it; they share budgets through the store.
        say: Told in lines where what is.

    Raises:
        DarkroomError: If the policy cannot be used, or nobody can listen there.
    """
    log_lines()
    read = read_policy(policy)
    guard = Guard(Proxy(read, upstream), policy)  # tells what it protects, or what is wrong
    if workers > 1 and port == 0:
        raise PlanError("--port 0 is for one process: choose the port that all --workers share")
    _require_ledger(guard.budgets)
    if workers > 1:
        guard.budgets.store.close()  # each of them has its own
        os.environ[POLICY] = str(policy)
        if upstream is not None:
            os.environ[UPSTREAM] = upstream
        _serve_workers(read, host, port, workers, say)
    _serve_one(guard, host, port, say)


def run_authorization(
    policy: Path, host: str, port: int, *, say: Callable[[str], None]
) -> NoReturn:
    """Serves a gateway that asks whether requests may pass, until interrupted.

    Args:
        policy: Its file.
        host: Where to listen.
        port: There; 0 for any.
        say: Told in lines where what is.

    Raises:
        DarkroomError: If the policy cannot be used, or nobody can listen there.
    """
    log_lines()
    guard = Authorization(policy)
    _require_ledger(guard.budgets)
    _serve_one(guard, host, port, say)


def _serve_one(guard: Guard, host: str, port: int, say: Callable[[str], None]) -> NoReturn:
    """Serves a guard from this process, with metrics where its policy has them."""
    read = guard.active.policy
    _export(guard)
    if read.metrics is not None:
        from darkroom.guard.telemetry.metrics import Metrics

        metrics = Metrics()
        guard.observe(metrics)
        place = _serve_metrics(metrics.registry, read.metrics)
        say(f"darkroom guard: metrics on http://{place}/metrics")
    serve(
        guard,
        host,
        port,
        ready=lambda address: say(f"darkroom guard: {read.guard.model} on {address}"),
    )


def _require_ledger(budgets: Budgets) -> None:
    """Opens the ledger once, so that one that is not there is told before anybody asks.

    Raises:
        NoLedgerError: If there is none.
        PlanError: If it was charged under a policy that protects more.
    """
    try:
        budgets.open_now()
    except NoLedgerError:
        raise
    except StoreError as error:  # a server that is away may come back
        logging.getLogger("darkroom.guard").error("%s", error)


def _serve_metrics(registry: CollectorRegistry, section: MetricsSection) -> str:
    """Serves metrics from a thread; returns where."""
    # Most guards have none, and start faster without.
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(section.port, section.host, registry=registry)
    except OSError as error:
        place = f"{section.host}:{section.port}"
        raise PlanError(f"metrics: cannot listen on {place} ({error.strerror})") from error
    return f"{section.host}:{server.server_port}"


@contextmanager
def _shared_metrics(section: MetricsSection) -> Iterator[str]:
    """Serves the sum of what all workers count, from the process that starts them.

    They count in files of a folder that is gone when the guard ends; what a worker that died has
    counted stays in the sums.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    with tempfile.TemporaryDirectory(prefix="darkroom-metrics-") as folder:
        os.environ[SHARED_METRICS] = folder  # read by each worker when it imports the client
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        yield _serve_metrics(registry, section)


def _export(guard: Guard) -> None:
    """Sends spans and metrics, where the policy says so."""
    section = guard.active.policy.opentelemetry
    if section is not None:
        from darkroom.guard.telemetry.tracing import export

        guard.last += export(section)


def log_lines() -> None:
    """Has what is logged written to standard error."""
    logging.basicConfig(level=logging.INFO, format="darkroom guard: %(message)s")


def worker() -> Guard:
    """Makes the guard of one worker, from its environment."""
    log_lines()
    policy = Path(os.environ[POLICY])
    read = read_policy(policy)
    guard = Guard(Proxy(read, os.environ.get(UPSTREAM)), policy)
    _export(guard)
    if read.metrics is not None:
        from darkroom.guard.telemetry.metrics import Metrics

        guard.observe(Metrics())
    return guard


def _serve_workers(
    read: Policy, host: str, port: int, workers: int, say: Callable[[str], None]
) -> NoReturn:
    made = f"{__name__}:{worker.__name__}"
    listening, _ = listen(made, host, port, read.limits)
    listening.close()  # whether it is free is told before the workers start
    if read.detector is not None:
        say("darkroom guard: warning: each worker's detector sees its own requests alone")
    say(f"darkroom guard: {read.guard.model} on http://{host}:{port}, {workers} workers")
    import uvicorn

    how = plain_http(read.limits)
    with nullcontext() if read.metrics is None else _shared_metrics(read.metrics) as place:
        if place is not None:
            say(f"darkroom guard: metrics on http://{place}/metrics")
        uvicorn.run(made, factory=True, host=host, port=port, workers=workers, **how)
    raise SystemExit(0)


def serve(
    guard: Guard, host: str, port: int, *, ready: Callable[[str], None] | None = None
) -> NoReturn:
    """Serves a guard over HTTP until it is told to end.

    Args:
        guard: What to serve.
        host: Where to listen.
        port: There; 0 for any that is free.
        ready: Told the address once it listens.

    Raises:
        MissingExtraError: If uvicorn is not installed.
        PlanError: If nobody can listen there.
    """
    listening, config = listen(guard, host, port, guard.active.policy.limits)
    if ready is not None:
        ready(f"http://{host}:{listening.getsockname()[1]}")
    import uvicorn

    uvicorn.Server(config).run(sockets=[listening])
    raise SystemExit(0)


def plain_http(limits: LimitSection | None = None) -> dict[str, Any]:
    """Returns how uvicorn serves a guard with some limits; their defaults when left out."""
    from darkroom.guard.http.protocol import bounded

    chosen = limits or LimitSection()
    return {
        "http": bounded(chosen.send_seconds),
        "timeout_graceful_shutdown": chosen.stop_seconds,
        "lifespan": "on",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,  # who is trusted is for the policy to say
        "ws": "none",
        "timeout_keep_alive": 15,
    }


def listen(
    app: App | str, host: str, port: int, limits: LimitSection
) -> tuple[socket.socket, uvicorn.Config]:
    """Takes a port, and returns it with how it is served.

    Args:
        app: What to serve, or where to import what makes it.
        host: Where to listen.
        port: There; 0 for any that is free.
        limits: Of the policy.

    Raises:
        MissingExtraError: If uvicorn is not installed.
        PlanError: If nobody can listen there.
    """
    try:
        import uvicorn

        how = plain_http(limits)
    except ImportError as error:
        raise MissingExtraError("uvicorn", "guard") from error
    config = uvicorn.Config(app, host=host, port=port, factory=isinstance(app, str), **how)
    try:
        return config.bind_socket(), config
    except SystemExit:
        raise PlanError(f"cannot listen on {host}:{port}: choose a free --port") from None
