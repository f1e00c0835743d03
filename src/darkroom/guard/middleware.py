"""The guard as ASGI middleware: in front of an application in the same process, or of a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from darkroom.errors import DarkroomError, PlanError
from darkroom.guard.admission import ActivePolicy, Guarded
from darkroom.guard.authentication import Clients
from darkroom.guard.budgets.charging import Budgets
from darkroom.guard.detector.detector import Detector
from darkroom.guard.handler import Handler
from darkroom.guard.http.health import LIVE, READY, Health, Readiness
from darkroom.guard.http.requests import App, Message, Receive, Scope, Send, route_path
from darkroom.guard.http.responses import answer
from darkroom.guard.http.slots import Slots
from darkroom.guard.policy import Policy, read_policy
from darkroom.guard.protection import Protection, announcement, require_no_less
from darkroom.guard.sections import OpenTelemetrySection
from darkroom.guard.shadow import ShadowHandler
from darkroom.guard.stores.base import Store, StoreError
from darkroom.guard.stores.registry import open_store
from darkroom.guard.telemetry.audit_log import AuditLog
from darkroom.guard.telemetry.record import Record
from darkroom.guard.wire.base import Wire
from darkroom.guard.wire.registry import make_wires

if TYPE_CHECKING:
    from darkroom.guard.telemetry.tracing import Spans

OWN = (LIVE, READY)
LOOK_EVERY = 1.0
"""Seconds between two looks at the policy's file."""

LAST_SECONDS = 3.0
"""Seconds that what is last may take."""

logger = logging.getLogger("darkroom.guard")

Observer = Callable[[Record], None]


@runtime_checkable
class Reachable(Protocol):
    """An application that can tell whether what it asks is there."""

    async def reach(self) -> None:
        """Raises an exception if it is not."""


class Guard:
    """Enforces a policy in front of an ASGI application.

    ``app.add_middleware(Guard, policy="guard.toml")`` is all that a FastAPI or Starlette
    application needs. A policy given as a file is read anew when the file changes.

    Attributes:
        handler: What serves one request.
        last: What is called in the end, in a thread of its own, and waited for a little.
    """

    handler: type[Handler] = Handler

    def __init__(
        self,
        app: App,
        policy: str | Path | Policy,
        *,
        wires: Sequence[Wire] | None = None,
        store: Store | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Reads the policy; the store is opened when it is first needed.

        Args:
            app: What is guarded.
            policy: The policy, or its file.
            wires: The formats; those of the policy when left out.
            store: Where budgets are kept; the policy's when left out.
            observers: Told of every request when it is over, in order.

        Raises:
            PlanError: If the policy cannot be used.
        """
        self.last: list[Callable[[], object]] = []
        self._path = None if isinstance(policy, Policy) else Path(policy)
        self._wires = wires
        self._stamp = self._stamped()
        self._watching: tuple[Path, Detector] | None = None
        read = policy if isinstance(policy, Policy) else read_policy(Path(policy))
        self.active = self._activated(read)
        self.budgets = Budgets(read, store if store is not None else open_store(read))
        self._observers = list(observers)
        if read.log is not None:
            self.observe(AuditLog(read.log.path))
        self._spans: Spans | None = None
        if read.opentelemetry is not None:
            self._trace(read.opentelemetry)
        slots = Slots(self.active.at_once, len(read.client))
        self._guarded = Guarded(app, self.budgets, slots, Health(app), self._ended)
        checks = {"ledger": self.budgets.ready}
        if isinstance(app, Reachable):
            checks["upstream"] = app.reach
        self._readiness = Readiness(checks)
        self._looked = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection's request, or the application's start and end."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        self._look()
        if str(scope["path"]).endswith(OWN) and await self._answered_itself(scope, send):
            return
        active = self.active
        record = Record(active.model, active.shadow)
        if self._spans is not None:
            self._spans.begin(scope, record)
        if record.shadow:
            shadow = ShadowHandler(self._guarded, active, record, receive, send)
            try:
                await shadow.serve(scope)
            finally:
                self._ended(record)
            return
        handler = self.handler(self._guarded, active, record, receive, send)
        try:
            await handler.serve(scope)
        except asyncio.CancelledError:
            if not handler.deadline.end():
                raise
            await handler.failed(handler.late())
        except Exception as error:
            if handler.over:  # of what the application does after its answer
                raise
            handler.deadline.end()
            await handler.failed(error)
        finally:
            if not handler.over:
                handler.end()

    async def _answered_itself(self, scope: Scope, send: Send) -> bool:
        """Answers a question about the guard itself, if that is what is asked."""
        path = route_path(scope, self.active.prefix)
        if path is None or scope["method"] not in ("GET", "HEAD"):
            return False
        found = await self._readiness.answer(path)
        if found is None:
            return False
        status, body = found
        bare = scope["method"] == "HEAD"
        await answer(send, status, b"application/json", body, [], bare=bare)
        return True

    def _ended(self, record: Record) -> None:
        record.ended()
        for observer in self._observers:
            observer(record)

    def _trace(self, section: OpenTelemetrySection) -> None:
        # Most guards do without.
        from darkroom.guard.telemetry.tracing import Spans, observers_of

        self._spans = Spans(section) if section.spans else None
        for observer in observers_of(section):
            self.observe(observer)

    def observe(self, observer: Observer) -> None:
        """Adds one who is told of every request when it is over."""
        self._observers.append(observer)

    async def start(self) -> None:
        """Opens the store; one that fails now is tried again with every request."""
        try:
            await self.budgets.open()
        except StoreError as error:
            logger.error("%s", error)

    async def stop(self) -> None:
        """Takes back what was leased, closes the store, and does what is last."""
        await self.budgets.close()
        if self.last:
            await _done_in_time(self.last, LAST_SECONDS)

    def reload(self) -> None:
        """Reads the policy's file anew; counts stay.

        Raises:
            PlanError: If it cannot be used; the old one stays in force.
        """
        assert self._path is not None
        read = read_policy(self._path)
        old = self.active.policy
        if (read.guard.model, read.store.kind, read.store.path, read.store.url_env) != (
            (old.guard.model, old.store.kind, old.store.path, old.store.url_env)
        ):
            raise PlanError("[guard] model and [store] cannot change while it runs: restart it")
        if _servers(read) != _servers(old):
            raise PlanError(
                "url and headers_from_env of [upstream] and [[model]] cannot change while it runs: "
                "restart it"
            )
        require_no_less(Protection.of(old), Protection.of(read), read.guard.gives_up)
        self.active = self._activated(read)
        self.budgets.configure(read)
        self._guarded.slots.divide(self.active.at_once, len(read.client))

    def _activated(self, policy: Policy) -> ActivePolicy:
        wires = self._wires if self._wires is not None else make_wires(policy)
        made = ActivePolicy(
            policy,
            Clients(policy),
            wires,
            policy.pipelines(),
            policy.tightened(),
            self._detector_of(policy),
        )
        # Warnings, so that they are seen where nobody has set up logging, as in most applications.
        logger.warning("%s", announcement(policy))
        for line in policy.warnings():
            logger.warning("%s: warning: %s", policy.guard.model, line)
        return made

    def _detector_of(self, policy: Policy) -> Detector | None:
        """Loads the policy's detector, or keeps the one at work, which remembers traffic."""
        if policy.detector is None:
            return None
        if self._watching is None or self._watching[0] != policy.detector.path:
            self._watching = (policy.detector.path, Detector.load(policy.detector.path))
        return self._watching[1]

    def _stamped(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _look(self) -> None:
        """Reads the policy again if its file has changed; a bad one is told and not used."""
        if self._path is None:
            return
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        stamp = self._stamped()
        if stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.reload()
        except DarkroomError as error:
            logger.error("%s; the policy before stays in force", error)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:  # nothing of a WebSocket could be counted
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def started() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
            return message

        await self._guarded.app(scope, started, send)


def _servers(policy: Policy) -> list[object]:
    """Returns where a policy has models asked, which a proxy looks up when it starts."""
    own = [(one.name, one.url, one.headers_from_env) for one in policy.model if one.url is not None]
    return [policy.upstream.url, policy.upstream.headers_from_env, own]


async def _done_in_time(work: Sequence[Callable[[], object]], seconds: float) -> None:
    """Does work in a thread that ends with the process, whether or not the work does."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        for one in work:
            one()
        with contextlib.suppress(RuntimeError):  # the loop may have ended before
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, daemon=True).start()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await done.wait()
