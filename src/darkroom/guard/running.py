"""Running the proxy with everything that a policy asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from prometheus_client import start_http_server

from darkroom.errors import PlanError
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import read_policy
from darkroom.guard.proxy import Proxy, serve
from darkroom.guard.watching import Metrics


def run_proxy(
    policy: Path, upstream: str | None, host: str, port: int, *, say: Callable[[str], None]
) -> NoReturn:
    """Serves a policy in front of an upstream until interrupted.

    Args:
        policy: Its file.
        upstream: The model's server, in place of the policy's.
        host: Where to listen.
        port: There; 0 for any.
        say: Told in lines where what is.

    Raises:
        DarkroomError: If the policy cannot be used, or nobody can listen there.
    """
    read = read_policy(policy)
    guard = Guard(Proxy(read, upstream), policy)
    for line in read.warnings():
        say(f"darkroom guard: warning: {line}")
    if read.metrics is not None:
        metrics = Metrics()
        guard.observe(metrics)
        try:
            server, _ = start_http_server(
                read.metrics.port, read.metrics.host, registry=metrics.registry
            )
        except OSError as error:
            place = f"{read.metrics.host}:{read.metrics.port}"
            raise PlanError(f"metrics: cannot listen on {place} ({error.strerror})") from error
        say(f"darkroom guard: metrics on http://{read.metrics.host}:{server.server_port}/metrics")
    serve(
        guard,
        host,
        port,
        ready=lambda address: say(f"darkroom guard: {read.guard.model} on {address}"),
    )
