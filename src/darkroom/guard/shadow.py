"""Shadow mode: all is decided and recorded, nothing is changed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from darkroom.guard.admission import (
    ActivePolicy,
    Inputs,
    Spent,
    charge_classes,
    checked_scores,
    known_client,
    routed,
    seen_inputs,
)
from darkroom.guard.handler import Guarded
from darkroom.guard.http.requests import (
    ClientGone,
    Head,
    Message,
    Receive,
    Request,
    Scope,
    Send,
    too_slow,
)
from darkroom.guard.http.responses import PROBLEM, answer, problem, problem_body
from darkroom.guard.http.upstream import Reply, kept, onward, replayed
from darkroom.guard.stores.base import StoreError
from darkroom.guard.telemetry.record import Record
from darkroom.guard.wire.base import Asked, Refused, Wire

logger = logging.getLogger("darkroom.guard")


@dataclass(slots=True, eq=False)
class ShadowHandler:
    """One request in shadow mode.

    What is not plain HTTP, or too large, is refused even so, because it cannot be read without
    being refused. Everything else goes through as it is, both ways.

    Attributes:
        guarded: What it shares with others.
        active: What is in force.
        record: Where to note what would have been.
        receive: Of the connection.
        send: Of the connection.
    """

    guarded: Guarded
    active: ActivePolicy
    record: Record
    receive: Receive
    send: Send

    async def serve(self, scope: Scope) -> None:
        """Passes it on, and decides beside.

        Shadow mode gives up all protection: it needs a ledger that has seen the policy and agrees.
        """
        try:
            await self.guarded.budgets.agree()
        except StoreError as error:
            logger.error("%s", error)
            await self._refuse(Refused(503, "Budgets unavailable", "try later"))
            self.record.outcome = "failed"
            return
        slots = self.guarded.slots
        if not slots.take(None):
            await self._refuse(Refused(503, "Busy", "too many requests at once: try again"))
            return
        try:
            await self._serve(scope)
        finally:
            slots.free(None)

    async def _serve(self, scope: Scope) -> None:
        longest, seconds = self.active.longest_body, self.active.read_seconds
        try:
            request = Request(scope)
            head = Head(scope, request.pairs, self.active.prefix)
            length = request.length(head)
            async with asyncio.timeout(seconds):
                body = await request.body(self.receive, length, longest)
        except ClientGone:
            self.record.outcome = "gone"
            return
        except TimeoutError:
            await self._refuse(too_slow(seconds))
            return
        except Refused as refused:
            await self._refuse(refused)
            return
        decided = await self._decide(head, body)
        reply = await self._passed(request, body)
        if decided is not None and reply is not None:
            await self._judge(*decided, reply)

    async def _refuse(self, refused: Refused) -> None:
        self.record.status, self.record.reason = refused.status, refused.title
        content = problem_body(None, problem(refused))
        await answer(self.send, refused.status, PROBLEM, content, [(b"connection", b"close")])

    async def _decide(self, head: Head, body: bytes) -> tuple[Wire, Asked, Inputs] | None:
        """Decides as the guard would, charging what fits."""
        record = self.record
        record.peer = head.peer
        try:
            wire, harmless = routed(self.active.wires, head)
            record.wire, record.path = wire.name, head.path
            if harmless:
                record.outcome = "passed"
                return None
            record.client = known_client(self.active, head)
            asked = wire.read(head.path, head.headers, body)
            inputs = seen_inputs(self.active, asked)
            decision = await self.guarded.budgets.charge(record.client, asked.rows)
            if not decision.granted:
                raise Spent(decision)
        except Refused as refused:
            self._would(refused)
            return None
        except StoreError as error:
            logger.error("%s", error)
            record.outcome, record.reason = "failed", "Budgets unavailable"
            return None
        record.rows, record.outcome = asked.rows, "released"
        return wire, asked, inputs

    async def _passed(self, request: Request, body: bytes) -> Reply | None:
        """Lets the application answer the client, and returns the answer if it is not too long."""
        content = bytearray()
        status, head = 0, {}
        scope, headers = request.scope, kept(request.pairs, shadow=True)
        limit = self.active.longest_answer

        async def noted(message: Message) -> None:
            nonlocal status, head
            if message["type"] == "http.response.start":
                status = int(message["status"])
                head = {
                    bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1")
                    for name, value in message.get("headers", ())
                }
            elif message["type"] == "http.response.body" and len(content) <= limit:
                content.extend(message.get("body", b""))
            await self.send(message)

        await self.guarded.app(
            onward(scope, headers, body, shadow=True), replayed(body, self.receive), noted
        )
        self.record.status = status
        whole = 200 <= status < 300 and len(content) <= limit
        return Reply(status, head, bytes(content)) if whole else None

    async def _judge(self, wire: Wire, asked: Asked, inputs: Inputs, reply: Reply) -> None:
        """Notes whether the answer would have left."""
        if asked.stream:
            return
        try:
            answered = wire.answer(asked, reply.status, reply.headers, reply.body)
            scores = answered.scores
            if scores is not None:
                scores = checked_scores(scores, asked.rows, numbers=answered.numbers)
            if answered.numbers:  # the detector knows confidences
                return
            self.active.watch(self.record, inputs, scores)
            await charge_classes(self.guarded.budgets, scores)
        except Refused as refused:
            self._would(refused)
            self.record.outcome = "withheld"
        except StoreError as error:
            logger.error("%s", error)
            self.record.reason = "Budgets unavailable"

    def _would(self, refused: Refused) -> None:
        self.record.reason = refused.title
        if isinstance(refused, Spent):
            self.record.budget = refused.decision.budget
