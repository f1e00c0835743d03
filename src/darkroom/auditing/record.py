"""What a cell says, as one typed record for every kind of audit.

A kind adds what it alone measures in a subclass of :class:`Cell`. The same classes build a cell,
write it, read it, and give ``results.json`` its schema.
"""

# long: all that a cell says stands in one place

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    model_validator,
)
from pydantic_core import to_jsonable_python

from darkroom.access import Access, LanguageAccess, VerifierAccess

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
SIGNIFICANCE = 0.05  # whoever has a p-value below this stands out
Words = Annotated[str, Field(min_length=1)]
Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]*$")]
"""A cell's key, which is also the name of its folder: nothing that could lead out of the run's."""
Unbounded = Annotated[
    float,
    Field(ge=0, allow_inf_nan=True),
    BeforeValidator(lambda value: math.inf if value is None else value),
    PlainSerializer(lambda value: None if math.isinf(value) else value, float | None),
]
"""A number that may be infinite, which JSON writes as null."""

Settings = Annotated[dict[str, JsonValue], BeforeValidator(to_jsonable_python)]
"""Parameters by name, as JSON holds them: what is a tuple in Python is a list."""


class Record(BaseModel):
    """Base of all records: frozen, without infinities, and closed to keys that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def of(cls, source: object) -> Self:
        """Copies what has attributes of the same names, such as a named tuple."""
        return cls.model_validate(source, from_attributes=True)


class Interval(Record):
    """An estimate with its 95% interval."""

    estimate: float
    low: float
    high: float

    @model_validator(mode="after")
    def _holds_its_estimate(self) -> Self:
        if not self.low <= self.estimate <= self.high:
            raise ValueError("the estimate is outside its interval")
        return self


class Share(Interval):
    """A rate with its 95% interval."""

    estimate: Rate
    low: Rate
    high: Rate


class Difference(Interval):
    """A difference of two rates with its 95% interval."""

    estimate: Annotated[float, Field(ge=-1, le=1)]
    low: Annotated[float, Field(ge=-1, le=1)]
    high: Annotated[float, Field(ge=-1, le=1)]


class Check(Record):
    """What one check of the subject found, before any attack.

    Attributes:
        name: What was checked, in one or two words that a plan's ``[check] ignore`` may name.
        outcome: ``passed``; ``noted`` for what a reader should know; ``failed`` for what leaves the
            audit without a verdict; ``ignored`` for a failure that the plan puts up with.
        found: What was found, in sentences.
        cause: The cause that was found by trying, in words that stay the same, such as ``class
            order``; empty where none is known.
        remedy: How to mend it, in a sentence; empty where there is nothing to mend.
    """

    name: Words
    outcome: Literal["passed", "noted", "failed", "ignored"]
    found: Words
    cause: str = ""
    remedy: str = ""


class Bits(Interval):
    """How far an attack narrows down the truth, in bits, over all goals.

    The number of bits gained on average over knowing nothing but the prior, with its 95% interval;
    ``most`` is what a perfect attack would have shown, such as log2 of the number of candidates.
    """

    most: Amount


class Queries(Record):
    """Queries spent: the median over goals, and the sum."""

    per_goal_median: Amount
    total: Count


class CurvePoint(Record):
    """Success after so many queries a goal, with its 95% interval, and bits if measured."""

    queries: Count
    success: Rate
    low: Rate
    high: Rate
    bits: float | None = None

    @classmethod
    def at(
        cls, queries: int, success: tuple[float, float, float], bits: float | None = None
    ) -> Self:
        """Puts an estimate with its ends at a number of queries."""
        estimate, low, high = success
        return cls(queries=queries, success=estimate, low=low, high=high, bits=bits)


class Confidence(Record):
    """The target's confidence in what the attack found.

    The median over goals, and the share of goals at which the attack was satisfied; ``None`` where
    the target shows no confidence.
    """

    median: Rate | None = None
    reached: Rate | None = None


class Utility(Record):
    """What the target is worth behind the cell's defences, on data that it was not trained on.

    Accuracy; expected calibration error in 15 bins; the share of answers of which the defence
    changes the class named, or the likeliest token; the mean absolute error of a model of numbers,
    in the units of its response; and the perplexity of a language model. ``None`` where it was not
    measured. ``dead`` says why such a model is of no use at all, which is no merit of a defence.
    """

    accuracy: Rate | None = None
    calibration_error: Rate | None = None
    label_changes: Rate | None = None
    mean_absolute_error: Amount | None = None
    perplexity: Annotated[float, Field(ge=1)] | None = None
    dead: Words | None = None


class Cost(Record):
    """What a defence adds to a query: microseconds a row, and that over the forward pass."""

    microseconds: Amount
    of_forward: Amount


class Component(Record):
    """An attack or a prior with its parameters, and the paper that it comes from."""

    name: Words
    parameters: Settings
    paper: str = ""


class WorstOff(Record):
    """Whom the model exposes most, with a p-value that is corrected for having looked at all.

    Of goals of which each alone is known by heart, ``alone`` are the p-values, corrected too, and
    ``by_heart`` is how often the audit counts that as recovered. Empty where that is not known.
    """

    name: str
    p_adjusted: Rate
    sentence: Words
    alone: tuple[Rate, ...] = ()
    by_heart: Rate = 1.0

    def stands_out_alone(self, looks: int = 1) -> float:
        """Returns the share of these that would have stood out in one of so many cells."""
        return sum(one * looks < SIGNIFICANCE for one in self.alone) / max(len(self.alone), 1)


class GuardLimit(Record):
    """A limit that a guard told of: so many rows in so many seconds."""

    name: str
    rows: Annotated[int, Field(ge=1)]
    seconds: Annotated[int, Field(ge=1)]


class GuardRecord(Record):
    """What a guard did to an attack.

    ``rows`` were answered and charged, ``refusals`` requests were not; ``opened`` rows were asked
    before any attack, to find out about the server.
    """

    rows: Count
    refusals: Count
    opened: Count
    limits: tuple[GuardLimit, ...]

    @property
    def per_day(self) -> int | None:
        """Rows a day that its strictest limit lets through; ``None`` if it told of none."""
        rates = [limit.rows * 86_400 // limit.seconds for limit in self.limits]
        return max(1, min(rates)) if rates else None


class Privacy(Record):
    """What a differentially private training guarantees.

    Attributes:
        unit: What is protected: one ``photo``, all photos of one ``person``, one ``row`` or one
            ``line``.
        epsilon: What the accountant says was spent; infinite without noise.
        delta: At which.
        noise_multiplier: The noise's standard deviation over the clipping norm.
        sample_rate: The chance of a unit to be in a step.
        steps: How often the weights were changed.
    """

    unit: Words
    epsilon: Unbounded
    delta: Rate
    noise_multiplier: Amount
    sample_rate: Rate
    steps: Count


class Chance(Record):
    """The chance that an attack is right, at most.

    Attributes:
        about: What it is right about: a person, a photo, a row, a secret.
        examples: How often that is in the training data, at most.
        most: The chance.
    """

    about: Words
    examples: Count
    most: Rate


class Bound(Record):
    """What a private training guarantees against any attack, whatever it does.

    Attributes:
        baseline: The chance to be right without the model.
        chances: The chance with it, at most.
        exceeded: Whether success in the cell is surely above that, which speaks against the
            guarantee.
    """

    baseline: Rate
    chances: Annotated[tuple[Chance, ...], Field(min_length=1)]
    exceeded: bool


class TrainingFacts(Record):
    """What is to be said of a training.

    Attributes:
        defense: The defence with its parameters; ``none`` for the control.
        seconds: How long it took.
        privacy: What it guarantees, or ``None`` for nothing.
    """

    defense: Words
    seconds: Amount
    privacy: Privacy | None = None

    def times_longer_than(self, control: TrainingFacts) -> float:
        """Returns how many times longer this took than the control."""
        return self.seconds / max(control.seconds, 1e-9)


class Training(TrainingFacts):
    """How the audit trained a cell's model.

    Attributes:
        name: The defence without its parameters.
        paper: Where it comes from.
        time_factor: How many times longer it took than the control.
        bound: What it guarantees of this cell, if anything.
    """

    name: Words
    paper: str
    time_factor: Amount
    bound: Bound | None


class Details(Record):
    """What stands behind a cell's figures.

    Attributes:
        threat_model: What the attacker has and knows, in sentences.
        attack: The attack with all its parameters.
        prior: The prior with all its parameters.
        worst_off: Whom the model exposes most, where that was tested.
        training: How the model was trained, where the audit trained it.
        guard: What a guard did, where the attack asked behind one.
    """

    threat_model: tuple[str, ...]
    attack: Component
    prior: Component
    worst_off: WorstOff | None = None
    training: Training | None = None
    guard: GuardRecord | None = None


class Cell(Record):
    """One attack against one defence, as in ``cell.json`` and ``results.json``.

    Attributes:
        key: A hash of all that decides its result.
        kind: The kind of audit, one of ``darkroom.kinds.KINDS``.
        target: The model.
        defense: The defences of training and of answers; ``none`` for none.
        attack: The attack.
        attacker: Whether the attacker knows the defence, or takes its answers for the model's own.
        access: What a query returned.
        prior: The prior.
        goals: How many things the attack tried to recover.
        queries: What it asked.
        success: The share of goals that it recovered.
        baseline: What the same attacker gets without the model.
        advantage: Success less baseline.
        bits: How far the attack narrows down the truth, where that was measured.
        curve: Success after so many queries a goal.
        confidence: The target's, in what the attack found.
        utility: What the model is worth behind the defence.
        cost: What the defence adds to a query, where that was timed.
        seconds: How long the attack took.
        details: What stands behind the figures.
    """

    key: Key
    kind: str
    target: Words
    defense: Words
    attack: Words
    attacker: Literal["adaptive", "naive"] = "adaptive"
    access: Access | LanguageAccess | VerifierAccess
    prior: Words
    goals: Annotated[int, Field(ge=1)]
    queries: Queries
    success: Share
    baseline: Share
    advantage: Difference
    bits: Bits | None = None
    curve: tuple[CurvePoint, ...]
    confidence: Confidence = Confidence()
    utility: Utility = Utility()
    cost: Cost | None = None
    seconds: Amount
    details: Details

    @property
    def title(self) -> str:
        """What a page calls it."""
        attack = f"{self.attack} with {self.prior}"
        if self.defense == "none":
            return f"{attack}, undefended"
        if self.guarded:
            return f"{attack}, behind the guard"
        told = ", not told" if self.attacker == "naive" else ""
        return f"{attack} against {self.defense}{told}"

    @property
    def guarded(self) -> bool:
        """Whether the attack asked behind a guard, which ends its curve where it refuses."""
        return self.details.guard is not None

    @property
    def hits(self) -> int:
        """How many goals were recovered."""
        return round(self.success.estimate * self.goals)
