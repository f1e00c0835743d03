"""Reading an audit log: whole lines of requests and of operators, and how many are neither."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.errors import DataError

MOST_CLASSES = 100_000


class LoggedRequest(BaseModel):
    """A line about a request; what older logs do not have is as if nobody knew.

    Attributes:
        time: When it began, in seconds since 1970.
        model: The policy's name.
        client: Who asked; ``None`` where nobody knew.
        path: The route; ``None`` where there was none.
        served: Of several models, which was asked.
        asked: Rows that it asked for; ``None`` in logs that do not say.
        rows: Rows that were charged.
        tokens_most: The most tokens that it could take.
        tokens: Tokens that were charged.
        winners: The class of each row, where the log has them.
        confidences: How sure the model was of it.
        outcome: What became of it.
        reason: Why it was refused.
        budget: Which budget was spent.
        alarms: What the detector found odd.
        alarms_begun: How many alarms began.
        shadow: Whether it was let through in any case.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: float = Field(ge=0, allow_inf_nan=False)
    model: str
    client: str | None = None
    path: str | None = None
    served: str | None = None
    asked: int | None = Field(default=None, ge=0)
    rows: int = Field(default=0, ge=0)
    tokens_most: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    winners: list[Annotated[int, Field(ge=0, lt=MOST_CLASSES)]] = Field(default_factory=list)
    confidences: list[Annotated[float, Field(ge=0)]] = Field(default_factory=list)
    outcome: str
    reason: str | None = None
    budget: str | None = None
    alarms: list[str] = Field(default_factory=list)
    alarms_begun: int = 0
    shadow: bool = False

    @property
    def scores(self) -> NDArray[np.float64] | None:
        """Scores ``(rows, classes)`` in which all but each row's first is hidden."""
        if not self.winners or len(self.winners) != len(self.confidences):
            return None
        scores = np.zeros((len(self.winners), max(self.winners) + 1))
        scores[np.arange(len(self.winners)), self.winners] = self.confidences
        return scores


class LoggedChange(BaseModel):
    """A line about what an operator did.

    Attributes:
        time: When, in seconds since 1970.
        model: The policy's name.
        operator: Who.
        action: ``raise``, ``reset`` or ``take back``.
        budget: Which.
        holder: Whose.
        part: Of which model or route.
        rows: How many.
        unit: Of what.
        until: When they end.
        reason: Why.
        outcome: ``begun``, ``made``, ``failed`` or ``unknown``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: float
    model: str
    operator: str
    action: str
    budget: str
    holder: str
    part: str
    rows: int
    unit: str
    until: datetime
    reason: str
    outcome: str


class Log(NamedTuple):
    """What logs hold.

    Attributes:
        requests: In the order of their time.
        changes: What operators did, likewise.
        unread: How many lines are neither.
        models: How many lines are about each other model.
    """

    requests: Sequence[LoggedRequest]
    changes: Sequence[LoggedChange]
    unread: int
    models: Counter[str]


def read_log(paths: Sequence[Path], model: str) -> Log:
    """Reads what logs say of one model.

    Args:
        paths: Several where a log was moved away now and then, or workers on several hosts wrote;
            ``-`` for standard input.
        model: The policy's name for it.

    Raises:
        DataError: If one cannot be read, or none of their lines is of a log.
    """
    requests: list[LoggedRequest] = []
    changes: list[LoggedChange] = []
    unread, others = 0, Counter[str]()
    for line in _lines(paths):
        found = _understood(line)
        if found is None:
            unread += 1
        elif found.model != model:
            others[found.model] += 1
        elif isinstance(found, LoggedRequest):
            requests.append(found)
        else:
            changes.append(found)
    if unread and not (requests or changes or others):
        named = ", ".join(map(str, paths))
        raise DataError(f"{named}: no line is of a guard's audit log: name the file of [log] path")
    requests.sort(key=lambda one: one.time)
    changes.sort(key=lambda one: one.time)
    return Log(requests, changes, unread, others)


def read_changes(path: Path, model: str) -> Sequence[LoggedChange]:
    """Reads what operators changed, from a log that may be long.

    Args:
        path: The log.
        model: The policy's name for it.

    Raises:
        DataError: If it cannot be read.
    """
    found = [_understood(line) for line in _lines([path]) if b'"operator":' in line]
    return [one for one in found if isinstance(one, LoggedChange) and one.model == model]


def _understood(line: bytes) -> LoggedRequest | LoggedChange | None:
    try:
        told: Any = orjson.loads(line)
        kind = LoggedChange if isinstance(told, dict) and "operator" in told else LoggedRequest
        return kind.model_validate(told)
    except (orjson.JSONDecodeError, ValidationError):
        return None


def _lines(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        with ExitStack() as opened:
            try:
                file = (
                    sys.stdin.buffer if str(path) == "-" else opened.enter_context(path.open("rb"))
                )
                yield from (line for line in file if line.strip())
            except OSError as error:
                raise DataError(f"{path}: the log cannot be read ({error.strerror})") from error
