"""What is recorded of a request: who, how many rows, what became of it; no inputs, no answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from darkroom.guard.wire.base import Tokens

Outcome = Literal["released", "passed", "refused", "withheld", "failed", "gone"]


class Trace(NamedTuple):
    """The trace that a request belongs to.

    Attributes:
        id: In hexadecimal digits; ``None`` where nobody keeps it.
        headers: That tell the model's server of it.
        end: Told when the request is over.
    """

    id: str | None
    headers: list[tuple[bytes, bytes]]
    end: Callable[[Record], None]


@dataclass(slots=True)
class Record:
    """One request.

    Attributes:
        model: The policy's name for it.
        id: Of the request; ``None`` where the policy wants none.
        client: Who asked; ``None`` if unknown or not asked.
        peer: Where the connection came from; ``None`` if its head was not understood.
        wire: The format; ``None`` if no route matched.
        path: The route, if one matched.
        served: Of several models, which was asked.
        asked: Rows that the request asked for; 0 where it was not understood.
        rows: Charged.
        tokens_most: The most tokens that it could take, charged before the model was asked.
        tokens: Those charged in the end; of prompt and completion, where the answer told them.
        prompt_tokens: Of the prompt, where the answer told them.
        completion_tokens: Of what was written, where the answer told them.
        winners: The class of each row, where the policy has them logged.
        confidences: How sure the model was of it, before any defence.
        outcome: ``released`` (answered), ``passed`` (harmless route), ``refused`` (nothing reached
            the model), ``withheld`` (the model answered, and the answer did not leave), ``failed``
            (the upstream, the store or the guard did), or ``gone`` (the client hung up).
        status: Of the answer sent; 0 if none was.
        reason: The title of the refusal; in shadow mode of the one that would have been.
        budget: The budget that is spent, if that is why.
        alarms: What the detector finds odd; for logs, never for an answer.
        alarms_begun: How many alarms begin with this request.
        shadow: Whether all this was only recorded.
        trace: That it belongs to, where the policy has ``[opentelemetry]``.
        begun: When, in seconds since 1970.
        seconds: How long it took in all.
    """

    model: str
    shadow: bool = False
    id: str | None = None
    client: str | None = None
    peer: str | None = None
    wire: str | None = None
    path: str | None = None
    served: str | None = None
    asked: int = 0
    rows: int = 0
    tokens_most: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    winners: list[int] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    outcome: Outcome = "refused"
    status: int = 0
    reason: str | None = None
    budget: str | None = None
    alarms: tuple[str, ...] = ()
    alarms_begun: int = 0
    trace: Trace | None = None
    begun: float = field(default_factory=time.time)
    seconds: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    def ended(self) -> None:
        """Notes how long it took."""
        self.seconds = time.perf_counter() - self._started

    def line(self) -> dict[str, Any]:
        """Returns it as the audit log has it."""
        return {
            "time": round(self.begun, 3),
            "model": self.model,
            "id": self.id,
            **({} if self.trace is None else {"trace": self.trace.id}),
            "client": self.client,
            "peer": self.peer,
            "wire": self.wire,
            "path": self.path,
            "served": self.served,
            "asked": self.asked,
            "rows": self.rows,
            **(self._tokens() if self.tokens_most else {}),
            **(self._scores() if self.winners else {}),
            "outcome": self.outcome,
            "status": self.status,
            "reason": self.reason,
            "budget": self.budget,
            "alarms": list(self.alarms),
            "alarms_begun": self.alarms_begun,
            "shadow": self.shadow,
            "seconds": round(self.seconds, 6),
        }

    def _scores(self) -> dict[str, object]:
        return {"winners": self.winners, "confidences": self.confidences}

    def _tokens(self) -> dict[str, int]:
        return {
            "tokens_most": self.tokens_most,
            "tokens": self.tokens,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


def note_tokens(record: Record, tokens: Tokens) -> None:
    """Notes how many tokens an answer took, where it told."""
    if tokens.used is not None:
        record.tokens = tokens.used
        record.prompt_tokens = tokens.prompt
        record.completion_tokens = 0 if tokens.open else tokens.completion or 0
