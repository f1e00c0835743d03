"""What is in force, and the decisions that the guard and its shadow take alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.outputs import Keyed, Pipeline
from darkroom.guard.budgets import Budgets
from darkroom.guard.clients import Clients
from darkroom.guard.detector import Detector
from darkroom.guard.policy import Policy
from darkroom.guard.requests import Request
from darkroom.guard.rules import Decision
from darkroom.guard.wire.base import Asked, Refused, Wire
from darkroom.targets.answers import extremes


class Active(NamedTuple):
    """What is in force.

    Attributes:
        policy: As read.
        clients: Who may ask.
        wires: The formats understood.
        pipeline: The output defences.
        tightened: Those in force while the detector alarms; ``None`` where it only alerts.
        detector: Watches; ``None`` where nobody does.
    """

    policy: Policy
    clients: Clients
    wires: Sequence[Wire]
    pipeline: Pipeline
    tightened: Pipeline | None = None
    detector: Detector | None = None

    @property
    def needs_inputs(self) -> bool:
        """Whether an output defence must see inputs."""
        every = (*self.pipeline.defenses, *(self.tightened or Pipeline()).defenses)
        return any(isinstance(one, Keyed) for one in every)


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


def routed(wires: Sequence[Wire], request: Request) -> tuple[Wire, bool]:
    """Returns the format of a route, and whether it is harmless.

    Raises:
        Refused: With 404, if no format has it: explanations, gradients, whatever else there is.
    """
    for wire in wires:
        if wire.matches(request.method, request.path):
            return wire, False
        if wire.passes(request.method, request.path):
            return wire, True
    raise Refused(404, "No such route", "this service answers predictions alone")


def checked_scores(scores: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Returns probabilities.

    Raises:
        Refused: With 502, if they are none, or not of as many rows as were charged.
    """
    if scores.ndim != 2 or len(scores) != rows or not scores.shape[1]:
        raise Refused(502, "Upstream answer not understood", "it has other rows than were asked")
    least, largest = extremes(scores)
    if not (least >= 0 and largest < np.inf):  # NaN fails both
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


def known_client(active: Active, request: Request) -> str:
    """Returns who asks.

    Raises:
        Refused: With 401, if nobody knows; with 400, if the question is not in the body alone.
    """
    client = active.clients.identify(request.raw_headers, request.peer)
    if client is None:
        raise Refused(401, "Unknown client", "send an API key that this service knows")
    if request.query:
        raise Refused(400, "Query not allowed", "put everything into the body")
    return client


def require_inputs(active: Active, asked: Asked) -> None:
    """Refuses a request whose inputs an output defence must see and cannot.

    Raises:
        Refused: With 422.
    """
    if asked.inputs is None and active.needs_inputs:
        raise Refused(422, "Inputs not understood", "this service must see inputs as numbers")
