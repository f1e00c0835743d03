"""What a cell of a language model says beside what all cells say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from darkroom.auditing.record import Amount, Cell, Count, Details, Rate, Record, Share


class GroupExposure(Record):
    """Exposures of a group in bits."""

    median: float
    least: float
    most: float


class Format(Record):
    """A format of secrets, and what came of those that have it.

    Attributes:
        description: The format in a few words.
        candidates: Its secrets: a whole number that may be too large for JSON.
        bits: The same as bits.
        n: Secrets in the training data.
        extracted: The share of them that the attack names first; ``None`` where there are none.
        controls: The same of secrets held out.
        exposure: Of those in the training data, where it was measured.
    """

    description: str
    candidates: str
    bits: Amount
    n: Count
    extracted: Share | None
    controls: Share | None
    exposure: GroupExposure | None


class Repetition(Record):
    """Canaries that are as often in the training data; 0 for controls."""

    repetitions: Count
    n: Count
    extracted: Share
    exposure: GroupExposure | None


class CanaryExposure(Record):
    """How far a model gives a secret away, in bits.

    The surprise; the exposure and what it is at least and at most; and, where the secret's rank is
    not ``exact`` but ``sampled`` among references, the exposure extrapolated from them and how well
    that fits.
    """

    surprise: float
    bits: float
    low: float
    high: float
    method: Literal["exact", "sampled"]
    extrapolated: float | None
    fit: Rate | None


class CanaryRecord(Record):
    """A canary; its secret is masked and a keyed hash, ``candidates`` are bits of its format."""

    owner: str
    secret: str
    masked: str
    candidates: Amount
    repetitions: Count
    extracted: bool
    certain: bool
    queries: Count
    exposure: CanaryExposure | None
    p_value: Rate | None
    p_adjusted: Rate | None


class Memory(Record):
    """Whether inserted secrets are more exposed than controls."""

    p_value: Rate
    control_median: float
    inserted_median: float


class Before(Record):
    """What the same attack gets from the model before training."""

    extracted: Share
    exposure_median: float | None


class Epsilon(Record):
    """What canaries say of the epsilon of the training, from one run of it.

    Attributes:
        repetitions: How often each inserted canary is in the training data: epsilon is that of so
            many lines together.
        inserted: How many canaries that is.
        controls: How many were held out.
        delta: At which.
        pure: What epsilon is at least, at 95% (Steinke et al. 2023).
        gaussian: The same, if the training's trade-off is a Gaussian mechanism's (Mahloujifar et
            al. 2024).
        coins: Whether a fair coin decided of each whether it was inserted. The bounds hold only
            then, and are estimates otherwise.
    """

    repetitions: Count
    inserted: Count
    controls: Count
    delta: Rate
    pure: Amount
    gaussian: Amount
    coins: bool


class TreeNode(Record):
    """A partial secret that was asked about; ``text`` is masked."""

    parent: int
    right: bool
    text: str


class Tree(Record):
    """The search for one secret; ``candidates`` are bits of its format."""

    owner: str
    masked: str
    candidates: Amount
    repetitions: Count
    found: bool
    asked: Count
    nodes: tuple[TreeNode, ...]


class TextDetails(Details):
    """What stands behind a cell of a language model.

    Attributes:
        formats: Of the secrets.
        commitment: Fixes the canaries without telling them.
        groups: Canaries by how often they are in the training data.
        canaries: One by one.
        memory: Inserted canaries against controls, where exposures were measured.
        before: What the same attack gets from the model before training, where that is given.
        epsilon: What the exposures say of the epsilon of the training, where they were measured.
        tree: The search for one secret, of attacks that search.
    """

    formats: tuple[Format, ...] = Field(min_length=1)
    commitment: str
    groups: tuple[Repetition, ...] = Field(min_length=1)
    canaries: tuple[CanaryRecord, ...] = Field(min_length=1)
    memory: Memory | None
    before: Before | None
    epsilon: Epsilon | None
    tree: Tree | None


class TextCell(Cell):
    """One attack on the secrets in a language model's training data."""

    kind: Literal["text"] = "text"
    details: TextDetails
