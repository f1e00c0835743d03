"""One request, from its head to its answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, cast

from darkroom.defenses.pipeline import Scores
from darkroom.guard.admission import (
    Active,
    Known,
    Spent,
    charge_classes,
    checked_scores,
    known_client,
    routed,
    seen_inputs,
)
from darkroom.guard.budgets.charging import Budgets
from darkroom.guard.deadlines import Task
from darkroom.guard.http.answers import (
    PROBLEM,
    Fields,
    allowance_head,
    answer,
    problem,
    problem_body,
    quota_head,
)
from darkroom.guard.http.requests import (
    App,
    ClientGone,
    Head,
    Receive,
    Request,
    Scope,
    Send,
    too_slow,
)
from darkroom.guard.http.upstream import Reply, ask, failed_status, kept, onward, streamed, too_late
from darkroom.guard.stores.base import StoreError
from darkroom.guard.telemetry.record import Record
from darkroom.guard.wire.base import Answered, Asked, Refused, Wire
from darkroom.guard.wire.strict import media_type

PLAIN = ("application/json", "text/plain")
logger = logging.getLogger("darkroom.guard")


Inputs = Scores | None
"""What a request holds, ``(rows, features)``, where anything looks at it."""


class Enforcer(Protocol):
    """What a request needs of the guard.

    Attributes:
        app: The application.
        budgets: What is charged.
    """

    app: App
    budgets: Budgets

    def watched(
        self, active: Active, record: Record, inputs: Inputs, scores: Scores | None
    ) -> bool:
        """Lets the detector see what was asked, and returns whether it alarms."""

    def defended(self, active: Active, inputs: Inputs, scores: Scores, *, alarmed: bool) -> Scores:
        """Returns probabilities as they may leave."""


class Guarded:
    """One request, from its head to its answer."""

    __slots__ = ("active", "bare", "begun", "guard", "record", "task", "whole", "wire")

    def __init__(self, guard: Enforcer, active: Active, record: Record) -> None:
        """Takes the guard, what is in force, and where to note what happens."""
        self.guard, self.active, self.record = guard, active, record
        self.task = cast("Task", asyncio.current_task())
        self.wire: Wire | None = None
        self.bare = False
        self.begun = False
        self.whole = False

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers it, if it may be answered; whatever it raises is for :meth:`failed`.

        Raises:
            Exception: If it may not, or anything fails.
        """
        active, record, budgets = self.active, self.record, self.guard.budgets
        request = Request(scope)
        known = active.heads.find(request) or self._understood(request)
        head, wire, client = known.head, known.wire, known.client
        self.wire, self.bare = wire, head.method == "HEAD"
        record.wire, record.path, record.client = wire.name, head.path, client
        length = request.length(head)
        if client is None:
            self.whole = not length
            await self._pass(onward(scope, known.onward, b""), receive, send)
            return
        active.deadlines.allow(self.task, active.read_seconds)
        body = await request.body(receive, length, active.longest_body)
        self.whole = True
        active.deadlines.end(self.task)
        asked = wire.read(head.path, head.headers, body)
        inputs = seen_inputs(active, asked)
        lease = budgets.leased(client, asked.rows)
        if lease is not None:
            fields = allowance_head(lease.allowances, lease.credit, lease.passed)
        else:
            decision = await budgets.charge(client, asked.rows)
            if not decision.granted:
                self.guard.watched(active, record, inputs, None)
                raise Spent(decision)
            fields = quota_head(decision)
        record.rows = asked.rows
        record.outcome = "withheld"  # until it leaves
        within = onward(scope, known.onward, body)
        if asked.stream:
            await self._stream(wire, within, body, asked, receive, send, fields)
        else:
            reply = await self._asked(within, body, receive)
            answered = wire.answer(asked, reply.status, reply.headers, reply.body)
            content = answered.rebuild(await self._defended(answered, asked.rows, inputs))
            if active.answer_headers:
                fields += self._allowed(reply)
            record.status = 200
            self.begun = True
            fields.append((b"content-type", answered.content_type.encode()))
            fields.append((b"content-length", b"%d" % len(content)))
            # Requests that are here already are decided first, and then all answers leave one after
            # another: to change between the two for each takes much more time under load.
            await asyncio.sleep(0)
            if head.method != "POST":  # whose answers nobody keeps unless they say for how long
                fields.append((b"cache-control", b"no-store"))
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            await send({"type": "http.response.body", "body": content})
        record.outcome = "released"

    async def failed(self, error: Exception, send: Send) -> None:
        """Tells the client what came of a request that was not answered."""
        if isinstance(error, ClientGone):
            self.record.outcome = "gone"
        elif isinstance(error, Spent):
            await self._refuse(send, error, quota_head(error.decision))
        elif isinstance(error, Refused):
            await self._refuse(send, error, [])
        elif isinstance(error, StoreError):
            logger.error("%s", error)
            self.record.outcome = "failed"
            uncounted = Refused(503, "Budgets unavailable", "rows cannot be counted now: try later")
            await self._refuse(send, uncounted, [(b"retry-after", b"5")])
        else:  # the text of a foreign error may hold inputs or scores
            logger.error("the guard failed: %s", type(error).__name__)
            self.record.outcome = "failed"
            await self._refuse(send, Refused(500, "Guard failed", "the request was stopped"), [])

    def late(self) -> Refused:
        """Returns what became of a request whose task was cancelled because it was late."""
        reading = self.record.client is not None and not self.whole
        if reading:
            return too_slow(self.active.read_seconds)
        return too_late(f"no answer within {self.active.seconds:g} seconds")

    async def _refuse(self, send: Send, refused: Refused, head: Fields) -> None:
        if self.begun:  # a stream that ends without its end is seen to be cut off
            self.record.reason = refused.title
            return
        if not self.whole:
            head = [*head, (b"connection", b"close")]  # what is left of the body is never read
        await refuse(send, self.record, refused, self.wire, head, bare=self.bare)

    def _understood(self, request: Request) -> Known:
        """Reads a head that has not been here before."""
        head = Head(request.scope, request.pairs)
        self.bare = head.method == "HEAD"
        self.wire, harmless = routed(self.active.wires, head)
        self.record.wire, self.record.path = self.wire.name, head.path
        client = None if harmless else known_client(self.active, head)
        known = Known(head, self.wire, client, kept(head.pairs))
        if client is not None:
            self.active.heads.keep(request, known)
        return known

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a harmless question through, uncharged: its body stays here."""
        reply = await self._asked(scope, b"", receive)
        kind = media_type(reply.headers)
        if reply.headers.get("content-encoding", "identity") != "identity" or (
            reply.body and kind not in PLAIN
        ):
            raise Refused(502, "Upstream answer not understood", "it is neither JSON nor text")
        self.record.outcome, self.record.status = "passed", reply.status
        self.begun = True
        media = kind.encode() or b"text/plain"
        await answer(send, reply.status, media, reply.body, self._allowed(reply), bare=self.bare)

    async def _asked(self, scope: Scope, body: bytes, receive: Receive) -> Reply:
        """Returns the application's answer, which must come in time."""
        active = self.active
        active.deadlines.allow(self.task, active.seconds)
        reply = await ask(self.guard.app, scope, body, receive, active.longest_answer)
        active.deadlines.end(self.task)
        return reply

    async def _defended(self, answered: Answered, rows: int, inputs: Inputs) -> Scores | None:
        """Returns scores as they may leave."""
        scores = answered.scores
        if scores is not None:
            scores = checked_scores(scores, rows)
        alarmed = self.guard.watched(self.active, self.record, inputs, scores)
        await charge_classes(self.guard.budgets, scores)
        if scores is None:
            return None
        return self.guard.defended(self.active, inputs, scores, alarmed=alarmed)

    async def _stream(
        self,
        wire: Wire,
        scope: Scope,
        body: bytes,
        asked: Asked,
        receive: Receive,
        send: Send,
        fields: Fields,
    ) -> None:
        if self.guard.budgets.rules.classes:
            raise Refused(422, "Streams are not supported", "classes are counted in whole answers")
        async with streamed(
            self.guard.app,
            scope,
            body,
            receive,
            limit=self.active.longest_answer,
            seconds=self.active.seconds,
        ) as (status, headers, pieces):
            if not 200 <= status < 300:
                raise failed_status(status)
            if not headers.get("content-type", "").lower().startswith("text/event-stream"):
                raise Refused(502, "Upstream answer not understood", "it is no stream of events")
            events = wire.answer_stream(asked, pieces)
            first = await anext(events, b"")
            kind = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            self.begun = True
            await send({"type": "http.response.start", "status": 200, "headers": [*kind, *fields]})
            self.record.status = 200
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    def _allowed(self, reply: Reply) -> Fields:
        """Returns the upstream's headers that the policy lets through."""
        return [
            (name.encode(), reply.headers[name].encode("latin-1"))
            for name in self.active.answer_headers
            if name in reply.headers
        ]


async def refuse(
    send: Send, record: Record, refused: Refused, wire: Wire | None, head: Fields, *, bare: bool
) -> None:
    """Sends a refusal, and notes it."""
    budget = refused.decision.budget if isinstance(refused, Spent) else None
    record.status, record.reason, record.budget = refused.status, refused.title, budget
    if refused.status in (500, 502, 504):
        record.outcome = "failed"
    more = list(head)
    if refused.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    elif refused.status == 405:
        more.append((b"allow", b"GET, HEAD, POST"))
    body = problem_body(wire, problem(refused, budget=budget))
    await answer(send, refused.status, PROBLEM, body, more, bare=bare)
