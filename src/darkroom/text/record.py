"""What a cell of a language model says of itself, as typed, frozen records."""

from __future__ import annotations

from pydantic import Field

from darkroom.auditing.record import Component, Count, CurvePoint, Interval, Rate, Record


class Format(Record):
    """The format of secrets; ``candidates`` is a whole number too large for JSON."""

    description: str
    candidates: str
    bits: float


class GroupExposure(Record):
    """Exposures of a group in bits."""

    median: float
    least: float
    most: float


class Repetition(Record):
    """Canaries that are as often in the training data; 0 for controls."""

    repetitions: Count
    n: Count
    extracted: Interval
    exposure: GroupExposure | None


class CanaryExposure(Record):
    """How far a model gives a secret away, in bits."""

    surprise: float
    bits: float
    low: float
    high: float
    method: str
    extrapolated: float | None = None
    fit: Rate | None = None


class CanaryRecord(Record):
    """A canary; its secret and what was guessed as keyed hashes."""

    owner: str
    secret: str
    masked: str
    repetitions: Count
    guess: str | None
    extracted: bool
    certain: bool
    queries: Count
    exposure: CanaryExposure | None = None
    p_value: Rate | None = None
    p_adjusted: Rate | None = None


class Memory(Record):
    """Whether inserted secrets are more exposed than controls."""

    p_value: Rate
    control_median: float
    inserted_median: float


class Before(Record):
    """What the same attack gets from the model before training."""

    extracted: Interval
    exposure_median: float | None


class TreeNode(Record):
    """A partial secret that was asked about; ``text`` is masked."""

    parent: int
    surprise: float
    right: bool
    text: str


class Tree(Record):
    """The search for one secret."""

    owner: str
    masked: str
    repetitions: Count
    found: bool
    asked: Count
    nodes: tuple[TreeNode, ...]


class WorstSecret(Record):
    """The canary that the model exposes most, with a corrected p-value."""

    owner: str
    secret: str
    p_value: Rate | None = None
    p_adjusted: Rate | None = None
    sentence: str


class TextDetails(Record):
    """``details`` of a cell of kind ``text``."""

    threat_model: tuple[str, ...]
    attack: Component
    prior: Component
    format: Format
    commitment: str
    curve: tuple[CurvePoint, ...]
    groups: tuple[Repetition, ...] = Field(min_length=1)
    canaries: tuple[CanaryRecord, ...] = Field(min_length=1)
    memory: Memory | None
    before: Before | None
    tree: Tree | None
    worst_off: WorstSecret | None
