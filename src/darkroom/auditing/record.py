"""What a cell says, as one typed record for every kind of audit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0, le=1)]


Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """Base of all records: frozen, and silent about keys that a later version may add."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Interval(Record):
    """An estimate with its 95% interval."""

    estimate: float
    low: float
    high: float


class Queries(Record):
    """Queries spent: the median over goals, and the sum."""

    per_goal_median: float
    total: int


class CurvePoint(Record):
    """Success after so many queries a goal, with its interval where there is one."""

    queries: Count
    success: Rate
    low: Rate | None = None
    high: Rate | None = None


class Confidence(Record):
    """Median over goals, and the share of goals at which the attack was satisfied."""

    median: Rate | None
    reached: Rate | None


class JudgeRates(Record):
    """The judges' accuracy and false-positive rates; ``None`` where nothing was measured."""

    accuracy: Rate | None
    false_positive_noise: Rate | None
    false_positive_adversarial: Rate | None
    false_positive_others: Rate | None


class Utility(Record):
    """What the target is worth behind the cell's defence."""

    accuracy: Rate | None = None
    calibration_error: Rate | None = None
    label_changes: Rate | None = None
    mean_absolute_error: float | None = None
    perplexity: float | None = None


class Cost(Record):
    """What a defence adds to a query: microseconds a row, and that over the forward pass."""

    microseconds: float
    of_forward: float


class Cell(Record):
    """One attack against one defence, as in ``results.json``."""

    key: str
    kind: Literal["images", "tables", "text"]
    target: str
    defense: str
    attack: str
    attacker: Literal["adaptive", "naive"] = "adaptive"
    access: str
    prior: str
    goals: Annotated[int, Field(ge=1)]
    queries: Queries
    success: Interval
    baseline: Interval
    advantage: Interval
    curve: tuple[CurvePoint, ...]
    confidence: Confidence
    judges: JudgeRates
    utility: Utility
    cost: Cost | None = None
    seconds: float
    details: dict[str, Any]

    @property
    def title(self) -> str:
        """What a page calls it."""
        attack = f"{self.attack} with {self.prior}" if self.prior else self.attack
        if self.defense == "none":
            return f"{attack}, undefended"
        if self.guarded:
            return f"{attack}, behind the guard"
        told = ", not told" if self.attacker == "naive" else ""
        return f"{attack} against {self.defense}{told}"

    @property
    def guarded(self) -> bool:
        """Whether the attack asked behind a guard, which ends its curve where it refuses."""
        return "guard" in self.details

    @property
    def hits(self) -> int:
        """How many goals were recovered."""
        return round(self.success.estimate * self.goals)


class MeasuredRate(Record):
    """A rate, its interval, and from how many trials; all ``None`` where there was no trial."""

    estimate: Rate | None = None
    low: Rate | None = None
    high: Rate | None = None
    n: Count = 0
    tried: Count | None = None


class Component(Record):
    """An attack or a prior with its parameters."""

    name: str
    parameters: dict[str, Any] = {}
