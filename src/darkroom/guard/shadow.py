"""Shadow mode: all is decided and recorded, nothing is changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from darkroom.guard.admission import (
    ActivePolicy,
    Guarded,
    Inputs,
    Spent,
    charge_classes,
    charge_person,
    checked_scores,
    known_asker,
    known_client,
    routed,
    seen_inputs,
)
from darkroom.guard.budgets.rules import Ticket
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.http.identifiers import identifier
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
from darkroom.guard.telemetry.record import Record, note_tokens
from darkroom.guard.wire.base import Asked, Refused, Wire

logger = logging.getLogger("darkroom.guard")


class _Decided(NamedTuple):
    """What would be let through."""

    wire: Wire
    asked: Asked
    inputs: Inputs
    asker: Asker
    ticket: Ticket | None


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
            request = Request(scope, self.active.apart)
            if self.active.id_header:
                self.record.id = identifier(request.apart, self.active.id_header)
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
        served = self.record.served or self._meant(head, body)
        try:
            reply = await self._passed(request, body, served)
        except Refused as refused:  # by the proxy, which has no server for it, or hears of none
            if self.record.status:  # the answer has begun, and is seen to be cut off
                raise
            await self._refuse(refused)
            self.record.outcome = "failed" if refused.status >= 500 else "refused"
            return
        if decided is not None and reply is not None:
            await self._judge(decided, reply)

    async def _refuse(self, refused: Refused) -> None:
        self.record.status, self.record.reason = refused.status, refused.title
        content = problem_body(None, problem(refused))
        await answer(self.send, refused.status, PROBLEM, content, [(b"connection", b"close")])

    async def _decide(self, head: Head, body: bytes) -> _Decided | None:
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
            record.asked = asked.rows
            asker = known_asker(self.active, record.client, head.path, asked)
            record.served = asker.model
            inputs = seen_inputs(self.active, asked, asker.model)
            record.tokens_most = 0 if asked.tokens is None else asked.tokens.most
            decision = await self.guarded.budgets.charge(asker, asked.rows, record.tokens_most)
            if not decision.granted:
                raise Spent(decision)
            await charge_person(self.guarded.budgets, asker, asked)
        except Refused as refused:
            self._would(refused)
            return None
        except StoreError as error:
            logger.error("%s", error)
            record.outcome, record.reason = "failed", "Budgets unavailable"
            return None
        record.rows, record.outcome = asked.rows, "released"
        record.tokens = record.tokens_most
        return _Decided(wire, asked, inputs, asker, decision.ticket)

    def _meant(self, head: Head, body: bytes) -> str | None:
        """Returns which of several models is asked by what is harmless, or would be refused."""
        named = None
        if self.active.scopes.several:
            with suppress(Refused):
                wire, harmless = routed(self.active.wires, head)
                named = None if harmless else wire.read(head.path, head.headers, body).model
        return self.active.scopes.model(head.path, named)

    async def _passed(self, request: Request, body: bytes, served: str | None) -> Reply | None:
        """Lets the application answer the client, and returns the answer if it is not too long."""
        content = bytearray()
        status, head = 0, {}
        scope, headers = request.scope, kept([*request.pairs, *request.apart], shadow=True)
        limit = self.active.longest_answer

        async def noted(message: Message) -> None:
            nonlocal status, head
            if message["type"] == "http.response.start":
                status = self.record.status = int(message["status"])
                head = {
                    bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1")
                    for name, value in message.get("headers", ())
                }
            elif message["type"] == "http.response.body" and len(content) <= limit:
                content.extend(message.get("body", b""))
            await self.send(message)

        await self.guarded.app(
            onward(scope, headers, body, shadow=True, served=served),
            replayed(body, self.receive),
            noted,
        )
        whole = 200 <= status < 300 and len(content) <= limit
        return Reply(status, head, bytes(content)) if whole else None

    async def _judge(self, decided: _Decided, reply: Reply) -> None:
        """Notes whether the answer would have left."""
        wire, asked, inputs, asker, _ = decided
        try:
            if asked.stream:
                try:
                    async for _ in wire.answer_stream(asked, _pieces(reply)):
                        pass
                finally:
                    self._correct(decided)
                return
            answered = wire.answer(asked, reply.status, reply.headers, reply.body)
            self._correct(decided)
            scores = answered.scores
            if scores is not None:
                scores = checked_scores(scores, asked.rows, numbers=answered.numbers)
            if answered.numbers:  # the detector knows confidences
                return
            self.active.watch(self.record, inputs, scores)
            await charge_classes(self.guarded.budgets, asker, scores)
        except Refused as refused:
            self._would(refused)
            self.record.outcome = "withheld"
        except StoreError as error:
            logger.error("%s", error)
            self.record.reason = "Budgets unavailable"

    def _correct(self, decided: _Decided) -> None:
        """Charges the tokens that were taken in place of the most that could have been."""
        tokens, ticket = decided.asked.tokens, decided.ticket
        if tokens is not None and tokens.used is not None and ticket is not None:
            note_tokens(self.record, tokens)
            self.guarded.budgets.correct_soon(ticket, tokens.used)

    def _would(self, refused: Refused) -> None:
        self.record.reason = refused.title
        if isinstance(refused, Spent):
            self.record.budget = refused.decision.budget


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    yield reply.body
