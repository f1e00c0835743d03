"""What is recorded of a request: who, how many rows, what became of it; no inputs, no answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["released", "passed", "refused", "withheld", "failed", "gone"]


@dataclass(slots=True)
class Record:
    """One request.

    Attributes:
        model: The policy's name for it.
        client: Who asked; ``None`` if unknown or not asked.
        peer: Where the connection came from; ``None`` if its head was not understood.
        wire: The format; ``None`` if no route matched.
        path: The route, if one matched.
        rows: Charged.
        outcome: ``released`` (answered), ``passed`` (harmless route), ``refused`` (nothing reached
            the model), ``withheld`` (the model answered, and the answer did not leave), ``failed``
            (the upstream, the store or the guard did), or ``gone`` (the client hung up).
        status: Of the answer sent; 0 if none was.
        reason: The title of the refusal; in shadow mode of the one that would have been.
        budget: The budget that is spent, if that is why.
        alarms: What the detector finds odd; for logs, never for an answer.
        alarms_begun: How many alarms begin with this request.
        shadow: Whether all this was only recorded.
        begun: When, in seconds since 1970.
        seconds: How long it took in all.
    """

    model: str
    shadow: bool = False
    client: str | None = None
    peer: str | None = None
    wire: str | None = None
    path: str | None = None
    rows: int = 0
    outcome: Outcome = "refused"
    status: int = 0
    reason: str | None = None
    budget: str | None = None
    alarms: tuple[str, ...] = ()
    alarms_begun: int = 0
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
            "client": self.client,
            "peer": self.peer,
            "wire": self.wire,
            "path": self.path,
            "rows": self.rows,
            "outcome": self.outcome,
            "status": self.status,
            "reason": self.reason,
            "budget": self.budget,
            "alarms": list(self.alarms),
            "alarms_begun": self.alarms_begun,
            "shadow": self.shadow,
            "seconds": round(self.seconds, 6),
        }
