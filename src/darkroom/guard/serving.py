"""One request, from its head to its answer."""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from darkroom.guard.answers import (
    PROBLEM,
    Head,
    allowance_head,
    answer,
    problem,
    problem_body,
    quota_head,
)
from darkroom.guard.asking import Reply, ask, failed_status, onward, streamed
from darkroom.guard.budgets import Budgets
from darkroom.guard.deciding import (
    Active,
    Spent,
    charge_classes,
    checked_scores,
    known_client,
    routed,
)
from darkroom.guard.record import Record
from darkroom.guard.requests import App, ClientGone, Message, Receive, Request, Scope, Send
from darkroom.guard.stores.base import StoreError
from darkroom.guard.wire.base import Asked, Refused, Wire

PLAIN = ("application/json", "text/plain")
logger = logging.getLogger("darkroom.guard")


class Enforcer(Protocol):
    """What a request needs of the guard.

    Attributes:
        app: The application.
        budgets: What is charged.
    """

    app: App
    budgets: Budgets

    def defended(self, active: Active, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns probabilities as they may leave."""


class Guarded:
    """One request, from its head to its answer."""

    def __init__(self, guard: Enforcer, active: Active, record: Record) -> None:
        """Takes the guard, what is in force, and where to note what happens."""
        self.guard, self.active, self.record = guard, active, record
        self.wire: Wire | None = None
        self.bare = False
        self.begun = False

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers it, whatever happens."""

        async def noted(message: Message) -> None:
            self.begun = True
            await send(message)

        try:
            await self._serve(scope, receive, noted)
        except ClientGone:
            self.record.outcome = "gone"
        except Spent as spent:
            await self._refuse(noted, spent, quota_head(spent.decision))
        except Refused as refused:
            await self._refuse(noted, refused, [])
        except StoreError as error:
            logger.error("%s", error)
            self.record.outcome = "failed"
            uncounted = Refused(503, "Budgets unavailable", "rows cannot be counted now: try later")
            await self._refuse(noted, uncounted, [(b"retry-after", b"5")])
        except Exception as error:
            # The text of a foreign error may hold inputs or scores.
            logger.error("the guard failed: %s", type(error).__name__)
            self.record.outcome = "failed"
            await self._refuse(noted, Refused(500, "Guard failed", "the request was stopped"), [])

    async def _refuse(self, send: Send, refused: Refused, head: Head) -> None:
        if self.begun:  # a stream that ends without its end is seen to be cut off
            self.record.reason = refused.title
            return
        await refuse(send, self.record, refused, self.wire, head, bare=self.bare)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        policy, record = self.active.policy, self.record
        request = Request(scope)
        self.bare = request.method == "HEAD"
        self.wire, harmless = routed(self.active.wires, request)
        record.wire, record.path = self.wire.name, request.path
        if harmless:
            await self._pass(request, receive, send)
            return
        record.client = known_client(self.active, request)
        body = await request.body(receive, policy.limits.body, policy.limits.read_seconds)
        asked = self.wire.read(request.path, request.headers, body)
        decision = await self.guard.budgets.charge(record.client, asked.rows)
        if not decision.granted:
            raise Spent(decision)
        record.rows = asked.rows
        head = allowance_head(decision.allowances)
        record.outcome = "withheld"  # until it leaves
        if asked.stream:
            await self._stream(request, body, asked, receive, send, head)
        else:
            await self._whole(request, body, asked, receive, send, head)
        record.outcome = "released"

    async def _pass(self, request: Request, receive: Receive, send: Send) -> None:
        """Lets a harmless question through, uncharged: its body stays here."""
        reply = await self._asked(request, b"", receive)
        if not 200 <= reply.status < 300:
            raise failed_status(reply.status)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if reply.headers.get("content-encoding", "identity") != "identity" or (
            reply.body and kind not in PLAIN
        ):
            raise Refused(502, "Upstream answer not understood", "it is neither JSON nor text")
        self.record.outcome, self.record.status = "passed", reply.status
        head = self._allowed(reply)
        media = kind.encode() or b"text/plain"
        await answer(send, reply.status, media, reply.body, head, bare=self.bare)

    async def _whole(
        self, request: Request, body: bytes, asked: Asked, receive: Receive, send: Send, head: Head
    ) -> None:
        wire = self.wire
        assert wire is not None
        reply = await self._asked(request, body, receive)
        if not 200 <= reply.status < 300:
            raise failed_status(reply.status)
        answered = wire.answer(asked, reply.status, reply.headers, reply.body)
        scores = None if answered.scores is None else checked_scores(answered.scores, asked.rows)
        await charge_classes(self.guard.budgets, scores)
        if scores is not None:
            scores = self.guard.defended(self.active, scores)
        content = answered.rebuild(scores)
        self.record.status = 200
        await answer(
            send, 200, answered.content_type.encode(), content, [*head, *self._allowed(reply)]
        )

    async def _stream(
        self, request: Request, body: bytes, asked: Asked, receive: Receive, send: Send, head: Head
    ) -> None:
        wire, policy = self.wire, self.active.policy
        assert wire is not None
        if self.guard.budgets.rules.classes:
            raise Refused(422, "Streams are not supported", "classes are counted in whole answers")
        async with streamed(
            self.guard.app,
            onward(request, body),
            body,
            receive,
            limit=policy.limits.answer,
            seconds=policy.upstream.seconds,
        ) as (status, headers, pieces):
            if not 200 <= status < 300:
                raise failed_status(status)
            if not headers.get("content-type", "").lower().startswith("text/event-stream"):
                raise Refused(502, "Upstream answer not understood", "it is no stream of events")
            events = wire.answer_stream(asked, pieces)
            first = await anext(events, b"")
            kind = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": [*kind, *head]})
            self.record.status = 200
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _asked(self, request: Request, body: bytes, receive: Receive) -> Reply:
        policy = self.active.policy
        return await ask(
            self.guard.app,
            onward(request, body),
            body,
            receive,
            limit=policy.limits.answer,
            seconds=policy.upstream.seconds,
        )

    def _allowed(self, reply: Reply) -> Head:
        """Returns the upstream's headers that the policy lets through."""
        return [
            (name.encode(), reply.headers[name].encode("latin-1"))
            for name in self.active.policy.upstream.answer_headers
            if name in reply.headers
        ]


async def refuse(
    send: Send, record: Record, refused: Refused, wire: Wire | None, head: Head, *, bare: bool
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
    if refused.status in (400, 408, 413):
        more.append((b"connection", b"close"))  # what is left of the body is never read
    body = problem_body(wire, problem(refused, budget=budget))
    await answer(send, refused.status, PROBLEM, body, more, bare=bare)
