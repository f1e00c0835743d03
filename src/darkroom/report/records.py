"""The files of a run as typed, frozen records; a file that does not fit is a ``RunError``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.report.files import damaged, read_json

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """Base of all records: frozen, and silent about keys that a later version may add."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class About(Record):
    """The identity of a run: name, seed, library versions, machine."""

    name: str
    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]


class Limit(Record):
    """The advantage, in [0, 1], above which the plan calls a cell a leak."""

    advantage: Rate


class TargetRecord(Record):
    """What was attacked.

    ``range`` holds the values of black and of white, for images alone; ``key_file`` says where the
    canaries of a language model are, for reports that reveal them.
    """

    name: str
    kind: str
    range: tuple[float, float] = (0.0, 1.0)
    key_file: str | None = None


class RunRecord(Record):
    """``run.json``."""

    run: About
    authorized_by: str | None
    command: str
    started: datetime
    limit: Limit | None
    target: TargetRecord
    tested: tuple[tuple[str, str], ...]


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
    modality: Literal["image", "table", "text"]
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


class Judges(Record):
    """How good the judges are, together and one by one."""

    accuracy: MeasuredRate | None = None
    each: tuple[MeasuredRate | None, ...] = ()
    false_positive_noise: MeasuredRate | None = None
    false_positive_adversarial: MeasuredRate | None = None
    false_positive_others: MeasuredRate | None = None


class Gate(Record):
    """The plausibility gate: the largest distance from the face space that still passes."""

    limit: float


class Component(Record):
    """An attack or a prior with its parameters."""

    name: str
    parameters: dict[str, Any] = {}


class NearestPhoto(Record):
    """The training photo nearest to a reconstruction."""

    index: Count
    ssim: float | None = None
    distance: float | None = None


class Person(Record):
    """What one attack recovered of one person."""

    goal: int
    name: str
    queries: Count
    confidence: Rate | None
    distance: float | None = None
    plausible: bool
    votes: tuple[bool, ...]
    success: bool
    photo: NearestPhoto | None = None
    p_value: Rate | None = None
    p_adjusted: Rate | None = None
    similarity: float | None = None


class WorstOff(Record):
    """The person whom the model exposes most, with a corrected p-value."""

    goal: int
    name: str
    p_value: Rate | None = None
    p_adjusted: Rate | None = None
    draws: Count = 0
    sentence: str


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
    opened: Count = 0
    limits: tuple[GuardLimit, ...] = ()

    @property
    def per_day(self) -> int | None:
        """Rows a day that its strictest limit lets through; ``None`` if it told of none."""
        rates = [limit.rows * 86_400 // limit.seconds for limit in self.limits]
        return max(1, min(rates)) if rates else None


class ImageDetails(Record):
    """``details`` of a cell whose modality is ``image``."""

    threat_model: tuple[str, ...]
    attack: Component
    prior: Component
    judge_names: tuple[str, ...]
    judges: Judges
    gate: Gate | None = None
    curve: tuple[CurvePoint, ...]
    snapshots: tuple[Count, ...]
    people: tuple[Person, ...]
    worst_off: WorstOff | None = None
    guard: GuardRecord | None = None


_Model = TypeVar("_Model", bound=Record)


def read_run(run: Path) -> RunRecord:
    """Reads ``run.json``.

    Raises:
        RunError: If it is missing or damaged.
    """
    path = run / "run.json"
    return _parse(RunRecord, read_json(path), path)


def parse_cells(run: Path, document: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Reads the cells of a results document.

    Args:
        run: The run folder, for messages.
        document: What ``collect`` returned.

    Raises:
        RunError: If a cell does not fit, which the schema should have caught.
    """
    return tuple(_parse(Cell, cell, cell_path(run, cell["key"])) for cell in document["cells"])


def parse_details(run: Path, cell: Cell, kind: type[_Model]) -> _Model:
    """Reads the ``details`` of a cell.

    Args:
        run: The run folder, for messages.
        cell: The cell.
        kind: What its modality's details are.

    Raises:
        RunError: If a part is missing or out of range.
    """
    return _parse(kind, cell.details, cell_path(run, cell.key), "details.")


def cell_path(run: Path, key: str) -> Path:
    """Returns where the figures of a cell are."""
    return run / "cells" / key / "cell.json"


def _parse(model: type[_Model], data: object, path: Path, prefix: str = "") -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise damaged(path, f"{prefix}{place}: {first['msg']}") from error
