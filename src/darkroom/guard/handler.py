"""One request, from its head to its answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

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
    refuse,
    routed,
    seen_inputs,
)
from darkroom.guard.budgets.rules import Ticket
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.deadlines import Deadline
from darkroom.guard.http.head_cache import KnownHead
from darkroom.guard.http.identifiers import TRACING, identifier
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
from darkroom.guard.http.responses import Fields, allowance_head, answer, quota_head
from darkroom.guard.http.upstream import (
    Reply,
    ask,
    failed_status,
    kept,
    onward,
    streamed,
    succeeded,
    too_late,
)
from darkroom.guard.stores.base import StoreError
from darkroom.guard.telemetry.record import Record, note_tokens
from darkroom.guard.wire.base import Asked, Refused, Tokens, Wire
from darkroom.guard.wire.strict_json import media_type

PLAIN = ("application/json", "text/plain")
BUSY: Fields = [(b"retry-after", b"1")]
logger = logging.getLogger("darkroom.guard")


class Handler:
    """One request, from its head to its answer.

    Attributes:
        guarded: What it shares with others.
        active: What is in force.
        record: Where to note what happens.
        receive: Of the connection.
        send: Of the connection.
        deadline: Of the task that serves it.
        wire: The format, once it is known.
        method: ``GET``, ``HEAD`` (whose answer's body stays away), ``POST`` or ``PUT``.
        begun: Whether the answer has begun to leave.
        whole: Whether nothing of the request is left to read.
        sending: Whether a piece of a stream waits for the client to take it.
        identity: The header with the request's identifier.
        over: Whether all was said, so that only the application's own tasks are left.
    """

    wire: Wire | None = None
    method: str = "POST"
    begun: bool = False
    whole: bool = False
    sending: bool = False
    over: bool = False
    identity: Fields = []  # noqa: RUF012 - replaced, and never added to
    _seated: bool = False
    _ticket: Ticket | None = None

    def __init__(
        self, guarded: Guarded, active: ActivePolicy, record: Record, receive: Receive, send: Send
    ) -> None:
        """Takes what the attributes say, in the task that serves the request."""
        self.guarded, self.active, self.record = guarded, active, record
        self.receive, self.send = receive, send
        task = asyncio.current_task()
        assert task is not None
        self.deadline = Deadline(active.deadlines, task)

    async def serve(self, scope: Scope) -> None:
        """Answers it, if it may be answered; whatever it raises is for :meth:`failed`.

        Raises:
            Exception: If it may not, or anything fails.
        """
        active, record = self.active, self.record
        request, known = self._arrived(scope)
        if known.client is None:
            self.whole = not request.length(known.head)
            await self._pass(scope)
            return
        body, asked, asker = await self._read(request, known)
        inputs = seen_inputs(active, asked, asker.model)
        fields = await self._charge(asker, asked, inputs)
        record.rows = asked.rows
        if asked.person is not None:
            await charge_person(self.guarded.budgets, asker, asked)
        record.outcome = "withheld"  # until it leaves
        if asked.tokens is not None and asked.tokens.body is not None:
            body = asked.tokens.body
        own = self._apart(request) if request.apart or record.trace else self.identity
        within = onward(scope, known.onward + own, body, served=asker.model)
        if asked.stream:
            await self._stream(known.wire, within, body, asked, asker, fields)
            return
        settle = partial(self._settle, known.wire, asked, inputs, asker, fields)
        self.deadline.allow(active.seconds)
        most = active.longest_answer
        whole = await ask(self.guarded.app, within, body, self.receive, most, settle)
        if whole is not None:
            await settle(*whole)

    def _arrived(self, scope: Scope) -> tuple[Request, KnownHead]:
        """Takes a request, and notes what its head says."""
        active, record = self.active, self.record
        request = Request(scope, active.apart)
        if active.id_header:
            told = record.id = identifier(request.apart, active.id_header)
            self.identity = [(active.id_header, told.encode())]
        known = active.heads.find(request) or self._understood(request)
        head = known.head
        self.wire, self.method = known.wire, head.method
        record.wire, record.path, record.client = known.wire.name, head.path, known.client
        record.peer = head.peer
        return request, known

    async def _read(self, request: Request, known: KnownHead) -> tuple[bytes, Asked, Asker]:
        """Returns the body, which must come in time, what it asks, and whose budgets count.

        Raises:
            Exception: If there is no place, or it is not understood, or never came whole.
        """
        active, client = self.active, known.client
        assert client is not None
        length = request.length(known.head)
        if not self.guarded.slots.take(client):
            raise Refused(503, "Busy", "too many requests at once: try again")
        self._seated = True
        self.deadline.allow(active.read_seconds)
        body = await request.body(self.receive, length, active.longest_body)
        self.whole = True
        self.deadline.end()
        asked = known.wire.read(known.head.path, known.head.headers, body)
        self.record.asked = asked.rows
        asker = known.asker or known_asker(active, client, known.head.path, asked)
        self.record.served = asker.model
        return body, asked, asker

    async def _settle(
        self,
        wire: Wire,
        asked: Asked,
        inputs: Inputs,
        asker: Asker,
        fields: Fields,
        start: Message,
        content: bytes,
    ) -> None:
        """Sends the application's answer as it may leave, if it may, or says why it may not."""
        self.deadline.end()
        active, budgets = self.active, self.guarded.budgets
        try:
            reply = succeeded(start, content)
            answered = wire.answer(asked, reply.status, reply.headers, reply.body)
            if asked.tokens is not None:
                await self._corrected(asked.tokens)
            scores = answered.scores
            if scores is not None:
                scores = checked_scores(scores, asked.rows, numbers=answered.numbers)
            seen = None if answered.numbers else scores  # the detector knows confidences
            alarmed = active.watch(self.record, inputs, seen)
            if budgets.rules.classes:
                await charge_classes(budgets, asker, seen)
            if scores is not None:
                scores = active.defend(asker.model, inputs, scores, alarmed=alarmed)
            await self._release(answered.content_type, answered.rebuild(scores), fields, reply)
        except Exception as error:
            await self.failed(error)
        self.end()

    def end(self) -> None:
        """Gives back what the request holds, and tells that it is over; once."""
        if self.over:
            return
        self.over = True
        if self._seated:
            self.guarded.slots.free(self.record.client)
        self.guarded.ended(self.record)

    async def _charge(self, asker: Asker, asked: Asked, inputs: Inputs) -> Fields:
        """Charges rows, and returns the fields that tell the client what is left.

        Raises:
            Spent: If a budget is.
        """
        record, tokens = self.record, 0 if asked.tokens is None else asked.tokens.most
        record.tokens_most = tokens
        lease = None if tokens else self.guarded.budgets.leased(asker, asked.rows)
        if lease is not None:
            return allowance_head(lease.allowances, lease.credit, lease.passed)
        decision = await self.guarded.budgets.charge(asker, asked.rows, tokens)
        if not decision.granted:
            self.active.watch(record, inputs, None)
            raise Spent(decision)
        record.tokens, self._ticket = tokens, decision.ticket
        return quota_head(decision)

    async def _corrected(self, tokens: Tokens, *, left: bool = False) -> None:
        """Charges the tokens that were taken in place of the most that could have been.

        Args:
            tokens: Of the request.
            left: Whether the answer has left, so that nothing can be withheld.

        Raises:
            Spent: If more were taken than fit, and the answer may not leave.
        """
        if tokens.used is None or self._ticket is None:
            return
        note_tokens(self.record, tokens)
        if left or tokens.used <= self._ticket.tokens:
            self.guarded.budgets.correct_soon(self._ticket, tokens.used)
            return
        decision = await self.guarded.budgets.correct(self._ticket, tokens.used)
        if not decision.granted:
            raise Spent(decision)

    async def _release(
        self, content_type: str, content: bytes, fields: Fields, reply: Reply
    ) -> None:
        """Sends an answer that may leave."""
        self.record.status = 200
        self.begun = True
        if self.active.answer_headers:
            fields += self._allowed(reply)
        if self.method != "POST":  # whose answers nobody keeps unless they say for how long
            fields.append((b"cache-control", b"no-store"))
        fields += self.identity
        fields.append((b"content-type", content_type.encode()))
        fields.append((b"content-length", b"%d" % len(content)))
        # Requests that are here already are decided first, and then all answers leave one after
        # another: to change between the two for each takes much more time under load.
        await asyncio.sleep(0)
        await self.send({"type": "http.response.start", "status": 200, "headers": fields})
        await self.send({"type": "http.response.body", "body": content})
        self.record.outcome = "released"

    async def failed(self, error: Exception) -> None:
        """Tells the client what came of a request that was not answered."""
        if isinstance(error, ClientGone):
            self.record.outcome = "gone"
        elif isinstance(error, Spent):
            await self._refuse(error, quota_head(error.decision))
        elif isinstance(error, Refused):
            await self._refuse(error, BUSY if error.title == "Busy" else [])
        elif isinstance(error, StoreError):
            logger.error("%s", error)
            self.record.outcome = "failed"
            uncounted = Refused(503, "Budgets unavailable", "rows cannot be counted now: try later")
            await self._refuse(uncounted, [(b"retry-after", b"5")])
        else:  # the text of a foreign error may hold inputs or scores
            logger.error("the guard failed: %s", type(error).__name__)
            self.record.outcome = "failed"
            await self._refuse(Refused(500, "Guard failed", "the request was stopped"), [])

    def late(self) -> Refused:
        """Returns what became of a request whose task was cancelled because it was late."""
        if self.sending:
            return Refused(408, "Client too slow", "it does not take what it asked for")
        reading = self.record.client is not None and not self.whole
        if reading:
            return too_slow(self.active.read_seconds)
        return too_late(f"no answer within {self.active.seconds:g} seconds")

    async def _refuse(self, refused: Refused, head: Fields) -> None:
        if self.begun:  # a stream that ends without its end is seen to be cut off
            self.record.reason = refused.title
            return
        if not self.whole:
            head = [*head, (b"connection", b"close")]  # what is left of the body is never read
        head = [*head, *self.identity]
        await refuse(self.send, self.record, refused, self.wire, head, bare=self.method == "HEAD")

    def _understood(self, request: Request) -> KnownHead:
        """Reads a head that has not been here before."""
        head = Head(request.scope, request.pairs, self.active.prefix)
        self.method, self.record.peer = head.method, head.peer
        self.wire, harmless = routed(self.active.wires, head)
        self.record.wire, self.record.path = self.wire.name, head.path
        client = None if harmless else known_client(self.active, head)
        asker = None if client is None else self.active.scopes.asker_of_path(client, head.path)
        known = KnownHead(head, self.wire, client, kept(head.pairs), asker)
        if client is not None and client not in self.active.clients.timed:
            self.active.heads.keep(request, known)
        return known

    async def _pass(self, scope: Scope) -> None:
        """Answers a harmless question, uncharged: its body stays here."""
        active = self.active
        assert self.record.path is not None
        reply = await self.guarded.health.answer(
            scope,
            self.record.path,
            seconds=active.seconds,
            limit=active.longest_answer,
            served=active.scopes.model(self.record.path),
        )
        kind = media_type(reply.headers)
        if reply.headers.get("content-encoding", "identity") != "identity" or (
            reply.body and kind not in PLAIN
        ):
            raise Refused(502, "Upstream answer not understood", "it is neither JSON nor text")
        self.record.outcome, self.record.status = "passed", reply.status
        self.begun = True
        media = kind.encode() or b"text/plain"
        fields = self._allowed(reply) + self.identity
        await answer(self.send, reply.status, media, reply.body, fields, bare=self.method == "HEAD")

    async def _stream(
        self, wire: Wire, scope: Scope, body: bytes, asked: Asked, asker: Asker, fields: Fields
    ) -> None:
        if self.guarded.budgets.rules.counted_classes(asker, {0: 1}):
            raise Refused(422, "Streams are not supported", "classes are counted in whole answers")
        async with streamed(
            self.guarded.app,
            scope,
            body,
            self.receive,
            limit=self.active.longest_answer,
            seconds=self.active.seconds,
        ) as (status, headers, pieces):
            if not 200 <= status < 300:
                raise failed_status(status)
            if not headers.get("content-type", "").lower().startswith("text/event-stream"):
                raise Refused(502, "Upstream answer not understood", "it is no stream of events")
            events = wire.answer_stream(asked, pieces)
            try:
                await self._flow(events, fields)
            finally:  # whatever ends it: what was written beyond the first charge is charged
                if asked.tokens is not None:
                    await self._corrected(asked.tokens, left=True)
            await self._piece(b"", last=True)
            self.record.outcome = "released"
            self.end()

    async def _flow(self, events: AsyncIterator[bytes], fields: Fields) -> None:
        """Lets a stream's events leave as they come."""
        first = await anext(events, b"")
        kind = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        self.begun = True
        head = [*kind, *fields, *self.identity]
        await self.send({"type": "http.response.start", "status": 200, "headers": head})
        self.record.status = 200
        await self._piece(first)
        async for event in events:
            await self._piece(event)

    async def _piece(self, content: bytes, *, last: bool = False) -> None:
        """Sends a piece of a stream, which the client must take in time."""
        self.sending = True
        self.deadline.allow(self.active.send_seconds)
        message = {"type": "http.response.body", "body": content, "more_body": not last}
        await self.send(message)
        self.deadline.end()
        self.sending = False

    def _allowed(self, reply: Reply) -> Fields:
        """Returns the upstream's headers that the policy lets through."""
        return [
            (name.encode(), reply.headers[name].encode("latin-1"))
            for name in self.active.answer_headers
            if name in reply.headers and name.encode() != self.active.id_header
        ]

    def _apart(self, request: Request) -> Fields:
        """Returns those of a request's own headers that the application gets."""
        header, trace = self.active.id_header, self.record.trace
        dropped = TRACING | {header} if trace else {header}
        kept = [one for one in request.apart if one[0] not in dropped]
        return kept + (trace.headers if trace else []) + self.identity
