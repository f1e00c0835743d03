"""What is in force, and the decisions that the guard and its shadow take alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.pipeline import Keyed, Pipeline
from darkroom.guard.budgets.charging import Budgets
from darkroom.guard.budgets.rules import Decision
from darkroom.guard.clients import Clients
from darkroom.guard.deadlines import Deadlines
from darkroom.guard.detector.detector import Detector
from darkroom.guard.http.requests import Head, Pair, Request
from darkroom.guard.policy import Policy
from darkroom.guard.wire.base import Asked, Refused, Wire
from darkroom.wire.answers import extremes

MOST_HEADS, LARGEST_HEAD, MOST_PAIRS = 1024, 4096, 64
"""How many heads are kept, and the most bytes and headers of one."""


@dataclass(slots=True)
class Known:
    """What a request's head says.

    Attributes:
        head: As it was checked.
        wire: The format of its route.
        client: Who asks; ``None`` on a harmless route, where nobody needs to know.
        onward: The headers that the application gets, without the length.
    """

    head: Head
    wire: Wire
    client: str | None
    onward: list[Pair]


class Heads:
    """Heads that clients have sent, so that the next one alike is understood at once.

    Only those of clients that are known are kept, few and small ones, for as long as the policy
    is in force. They hold API keys as they came, in memory alone.
    """

    def __init__(self) -> None:
        """Knows none."""
        self._known: dict[tuple[object, ...], Known] = {}

    def find(self, request: Request) -> Known | None:
        """Returns what a head says, if it has been here before."""
        try:
            return self._known.get(request.key)
        except TypeError:  # a server that gives lists where tuples are usual
            return None

    def keep(self, request: Request, known: Known) -> None:
        """Remembers what a head says."""
        size = sum(len(name) + len(value) for name, value in request.pairs)
        if size > LARGEST_HEAD or len(request.pairs) > MOST_PAIRS:
            return
        if len(self._known) >= MOST_HEADS:
            self._known.clear()
        with suppress(TypeError):
            self._known[request.key] = known


@dataclass
class Active:
    """What is in force.

    Attributes:
        policy: As read.
        clients: Who may ask.
        wires: The formats understood.
        pipeline: The output defences.
        tightened: Those in force while the detector alarms; ``None`` where it only alerts.
        detector: Watches; ``None`` where nobody does.
        heads: Those that have come while it is.
        model, shadow, at_once, longest_body, longest_answer, answer_headers: What the policy says.
        read_seconds, seconds: How long a body, and an answer, may take.
        deadlines: Of requests under way.
        needs_inputs: Whether an output defence must see inputs.
    """

    policy: Policy
    clients: Clients
    wires: Sequence[Wire]
    pipeline: Pipeline
    tightened: Pipeline | None = None
    detector: Detector | None = None

    heads: Heads = field(default_factory=Heads)

    def __post_init__(self) -> None:
        """Takes out of the policy what every request needs: its own attributes are slow to read."""
        limits, upstream = self.policy.limits, self.policy.upstream
        self.model, self.shadow = self.policy.guard.model, self.policy.guard.shadow
        self.at_once = limits.at_once
        self.deadlines = Deadlines(limits.read_seconds, upstream.seconds)
        self.read_seconds, self.seconds = limits.read_seconds, upstream.seconds
        self.longest_body, self.longest_answer = limits.body, limits.answer
        self.answer_headers = upstream.answer_headers
        every = (*self.pipeline.defenses, *(self.tightened or Pipeline()).defenses)
        self.needs_inputs = any(isinstance(one, Keyed) for one in every)


class Spent(Refused):
    """A budget is spent; carries what the client may know about it."""

    def __init__(self, decision: Decision) -> None:
        """Takes the decision."""
        self.decision = decision
        name = decision.budget
        if decision.never:
            super().__init__(413, "Too many rows", f"more rows at once than budget {name} holds")
        else:
            super().__init__(429, "Quota exceeded", f"the budget {name} is spent")


def routed(wires: Sequence[Wire], head: Head) -> tuple[Wire, bool]:
    """Returns the format of a route, and whether it is harmless.

    Raises:
        Refused: With 404, if no format has it: explanations, gradients, whatever else there is.
    """
    for wire in wires:
        if wire.matches(head.method, head.path):
            return wire, False
        if wire.passes(head.method, head.path):
            return wire, True
    raise Refused(404, "No such route", "this service answers predictions alone")


def checked_scores(scores: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Returns what a format found, if it is probabilities of as many rows as were charged.

    Raises:
        Refused: With 502, if it is not.
    """
    if scores.ndim != 2 or len(scores) != rows or not scores.shape[1]:
        raise Refused(502, "Upstream answer not understood", "it has other rows than were asked")
    least, largest = extremes(scores)
    if not (least >= 0 and largest < math.inf):  # NaN fails both
        raise Refused(502, "Upstream answer not understood", "it holds no probabilities")
    return scores


async def charge_classes(budgets: Budgets, scores: NDArray[np.float64] | None) -> None:
    """Charges the classes predicted, where they have budgets.

    Raises:
        Refused: With 429, if one is spent; with 502, if the answer does not tell its classes.
    """
    if not budgets.rules.classes:
        return
    if scores is None:
        raise Refused(502, "Upstream answer not understood", "its classes cannot be counted")
    decision = await budgets.charge_classes(Counter(scores.argmax(axis=1).tolist()))
    if not decision.granted:
        raise Spent(decision)


def known_client(active: Active, head: Head) -> str:
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


def seen_inputs(active: Active, asked: Asked) -> NDArray[np.float64] | None:
    """Takes the inputs out of a request, ``(rows, features)``, if anything looks at them.

    Raises:
        Refused: With 422, if an output defence must see them and cannot.
    """
    make, asked.inputs = asked.inputs, None  # what they are made from is large
    if make is not None and (active.detector is not None or active.needs_inputs):
        return make()
    if active.needs_inputs:
        raise Refused(422, "Inputs not understood", "this service must see inputs as numbers")
    return None
