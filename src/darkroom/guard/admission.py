"""What is in force, and the decisions that the guard and its shadow take alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.base import Scores
from darkroom.defenses.pipeline import Pipeline
from darkroom.guard.authentication import Clients
from darkroom.guard.budgets.charging import Budgets
from darkroom.guard.budgets.rules import Decision
from darkroom.guard.budgets.scopes import Asker, Scopes
from darkroom.guard.deadlines import Deadlines
from darkroom.guard.detector.detector import Batch, Detector
from darkroom.guard.http.head_cache import HeadCache
from darkroom.guard.http.health import Health
from darkroom.guard.http.identifiers import TRACING
from darkroom.guard.http.requests import LENGTH, App, Head, Send, no_route
from darkroom.guard.http.responses import PROBLEM, Fields, answer, problem, problem_body
from darkroom.guard.http.slots import Slots
from darkroom.guard.policy import Policy
from darkroom.guard.telemetry.record import Record
from darkroom.guard.wire.base import Asked, Refused, Wire
from darkroom.guard.wire.either import Either
from darkroom.wire.answers import FEW, extremes

Inputs = Scores | None
"""What a request holds, ``(rows, features)``, where anything looks at it."""


@dataclass
class ActivePolicy:
    """What is in force.

    Attributes:
        policy: As read.
        clients: Who may ask.
        wires: The formats understood.
        pipelines: The output defences of each model; of ``None`` where there is one model.
        tightened: Those in force while the detector alarms; none where it only alerts.
        detector: Watches; ``None`` where nobody does.
        heads: Those that have come while it is.
        generator: What the defences draw from.
        model, shadow, prefix, at_once, longest_body, longest_answer, answer_headers: As the policy
            has them.
        read_seconds, seconds, send_seconds: How long a body, an answer, and the taking of a piece
            of a stream may take.
        deadlines: Of requests under way.
        needs_inputs: The models for which an output defence must see inputs.
        scopes: Finds models and routes.
        id_header: In which a request's identifier comes and goes; empty for none.
        apart: Headers that are others with each request.
        logs_scores: Whether the log has classes and confidences.
    """

    policy: Policy
    clients: Clients
    wires: Sequence[Wire]
    pipelines: Mapping[str | None, Pipeline]
    tightened: Mapping[str | None, Pipeline] = field(default_factory=dict)
    detector: Detector | None = None

    heads: HeadCache = field(default_factory=HeadCache)
    generator: np.random.Generator = field(default_factory=np.random.default_rng)

    def __post_init__(self) -> None:
        """Takes out of the policy what every request needs: its own attributes are slow to read."""
        limits, upstream = self.policy.limits, self.policy.upstream
        self.model, self.shadow = self.policy.guard.model, self.policy.guard.shadow
        self.at_once = limits.at_once
        self.prefix = self.policy.guard.prefix
        self.read_seconds, self.seconds = limits.read_seconds, upstream.seconds
        self.send_seconds = limits.send_seconds
        self.deadlines = Deadlines(self.read_seconds, self.seconds, self.send_seconds)
        self.longest_body, self.longest_answer = limits.body, limits.answer
        self.answer_headers = upstream.answer_headers
        self.scopes = Scopes(self.policy)
        self.logs_scores = self.policy.log is not None and self.policy.log.scores
        self.id_header = self.policy.guard.request_id.encode()
        self.apart = LENGTH | TRACING | ({self.id_header} - {b""})
        every = [*self.pipelines.items(), *self.tightened.items()]
        self.needs_inputs = {model for model, chain in every if chain.needs_inputs}

    def watch(self, record: Record, inputs: Inputs, scores: Scores | None) -> bool:
        """Lets the detector see what was asked, and returns whether it alarms.

        Args:
            record: Of the request; takes what the detector finds odd.
            inputs: Of :func:`seen_inputs`.
            scores: Of the answer, before any defence; ``None`` where there are none.
        """
        if self.logs_scores and scores is not None:
            record.winners = scores.argmax(axis=1).tolist()
            record.confidences = scores.max(axis=1).round(6).tolist()
        if self.detector is None:
            return False
        verdict = self.detector.watch(Batch(record.client, inputs, scores))
        record.alarms, record.alarms_begun = verdict.reasons, verdict.begun
        return verdict.alarmed

    def defend(self, model: str | None, inputs: Inputs, scores: Scores, *, alarmed: bool) -> Scores:
        """Returns probabilities as they may leave.

        Args:
            model: Of several models, which was asked.
            inputs: Of :func:`seen_inputs`.
            scores: What the model said, ``(rows, classes)``.
            alarmed: Whether the detector alarms.
        """
        chains = self.tightened if alarmed and self.tightened else self.pipelines
        return chains[model](scores, self.generator, inputs)


@dataclass(frozen=True)
class Guarded:
    """What all requests of a guard share.

    Attributes:
        app: The application.
        budgets: What is charged.
        slots: What is in hand.
        health: Harmless questions.
        ended: Told of each request when it is over.
    """

    app: App
    budgets: Budgets
    slots: Slots
    health: Health
    ended: Callable[[Record], None]


class Spent(Refused):
    """A budget is spent; carries what the client may know about it."""

    def __init__(self, decision: Decision) -> None:
        """Takes the decision."""
        self.decision = decision
        name = decision.budget
        if decision.never:
            super().__init__(413, "Too many rows", f"more at once than budget {name} holds")
        else:
            super().__init__(429, "Quota exceeded", f"the budget {name} is spent")


def routed(wires: Sequence[Wire], head: Head) -> tuple[Wire, bool]:
    """Returns the format of a route, and whether it is harmless.

    Raises:
        Refused: With 404, if no format has it: explanations, gradients, whatever else there is.
    """
    asked = "GET" if head.method == "HEAD" else head.method
    found = [wire for wire in wires if wire.matches(head.method, head.path)]
    if found:
        return found[0] if len(found) == 1 else Either(found), False
    for wire in wires:
        if wire.passes(asked, head.path):
            return wire, True
    if head.method == "PUT":
        raise Refused(405, "Method not allowed", "no format here takes PUT: use POST")
    raise no_route()


def checked_scores(
    scores: NDArray[np.float64], rows: int, *, numbers: bool = False
) -> NDArray[np.float64]:
    """Returns what a format found, if it is probabilities of as many rows as were charged.

    Args:
        scores: ``(rows, classes)``.
        rows: How many were charged.
        numbers: Whether it should be predicted numbers, ``(rows, 1)``.

    Raises:
        Refused: With 502, if it is not.
    """
    if numbers and scores.shape == (rows, 1) and np.isfinite(scores).all():
        return scores
    if numbers or scores.ndim != 2 or len(scores) != rows or not scores.shape[1]:
        raise Refused(502, "Upstream answer not understood", "it has other rows than were asked")
    if scores.size <= FEW:
        told = scores.ravel().tolist()
        sound = min(told) >= 0 and sum(told) < math.inf  # the sum is NaN where one is
    else:
        least, largest = extremes(scores)
        sound = least >= 0 and largest < math.inf
    if not sound:
        raise Refused(502, "Upstream answer not understood", "it holds no probabilities")
    return scores


async def charge_classes(
    budgets: Budgets, asker: Asker, scores: NDArray[np.float64] | None
) -> None:
    """Charges the classes predicted, where budgets concern them.

    Raises:
        Refused: With 429, if one is spent; with 502, if the answer does not tell its classes.
    """
    if not budgets.rules.counted_classes(asker, {0: 1}):
        return
    if scores is None:
        raise Refused(502, "Upstream answer not understood", "its classes cannot be counted")
    decision = await budgets.charge_classes(asker, Counter(scores.argmax(axis=1).tolist()))
    if not decision.granted:
        raise Spent(decision)


async def charge_person(budgets: Budgets, asker: Asker, asked: Asked) -> None:
    """Charges the person enrolled whom a request is about, where budgets concern them.

    The rows of the client stay charged where it is refused.

    Raises:
        Refused: With 429, if one is spent.
    """
    if asked.person is None:
        return
    decision = await budgets.charge_person(asker, asked.person, asked.rows)
    if not decision.granted:
        raise Spent(decision)


def known_client(active: ActivePolicy, head: Head) -> str:
    """Returns who asks.

    Raises:
        Refused: With 401, if nobody knows; with 400, if the question is not in the body alone.
    """
    client = active.clients.identify(head.pairs, head.peer)
    if client is None:
        raise Refused(401, "Unknown client", "send an API key that this service knows")
    if head.query:
        raise Refused(400, "Query not allowed", "put everything into the body")
    return client


def known_asker(active: ActivePolicy, client: str, path: str, asked: Asked) -> Asker:
    """Returns whose budgets count a request.

    Raises:
        Refused: With 404, if the guard has several models, and it means none of them.
    """
    asker = active.scopes.asker(client, path, asked.model)
    if asker is None:
        raise Refused(404, "No such model", "this service has no model of this name and path")
    return asker


def seen_inputs(
    active: ActivePolicy, asked: Asked, model: str | None
) -> NDArray[np.float64] | None:
    """Takes the inputs out of a request, ``(rows, features)``, if anything looks at them.

    Args:
        active: What is in force.
        asked: The request.
        model: Of several models, which is asked.

    Raises:
        Refused: With 422, if an output defence must see them and cannot.
    """
    make, asked.inputs = asked.inputs, None  # what they are made from is large
    needed = model in active.needs_inputs
    if make is not None and (active.detector is not None or needed):
        return make()
    if needed:
        raise Refused(422, "Inputs not understood", "this service must see inputs as numbers")
    return None


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
        more.append((b"allow", b"GET, HEAD, POST, PUT"))
    body = problem_body(wire, problem(refused, budget=budget))
    await answer(send, refused.status, PROBLEM, body, more, bare=bare)
