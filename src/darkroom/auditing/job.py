"""One audit with everything loaded: every attack against every defence, for each model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from numpy.typing import NDArray

from darkroom.auditing.cell_plan import CellPlan
from darkroom.auditing.plan import BasePlan
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Cell, Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.named import describe
from darkroom.sections import toml_text

Arrays = dict[str, NDArray[Any]]
Advance = Callable[[int, int], None]

S_co = TypeVar("S_co", covariant=True)


class Model(Protocol[S_co]):
    """One model under audit, which may have to be trained first."""

    @property
    def digest(self) -> str:
        """A hash of all that decides the model, and of all data."""

    @property
    def replaced(self) -> bool:
        """Whether a training put a model of its own in the place of the given one."""

    def open(self, reporter: Reporter) -> S_co:
        """Returns the model with the truth about it."""

    def dress(self, cell: Any) -> Any:
        """Returns a cell of this model with what is to be said of the model."""


class Facts(NamedTuple):
    """What a run says of itself beside its cells.

    Attributes:
        target: The model.
        tested: Terms with what stands beside them in the report, such as ``Input`` with
            ``3 x 64 x 64``.
    """

    target: TargetRecord
    tested: list[tuple[str, str]]


class FinishedCell(NamedTuple):
    """What a job makes of one cell.

    Attributes:
        key: The cell's.
        cell: What is said of it.
        arrays: For ``reconstructions.npz``.
    """

    key: str
    cell: Cell
    arrays: Arrays


Plan = TypeVar("Plan", bound=BasePlan)
Subject = TypeVar("Subject")
Cells = TypeVar("Cells", bound=CellPlan[Any, Any, Any, Any])
Bench = TypeVar("Bench")


@dataclass(frozen=True)
class Job(ABC, Generic[Plan, Subject, Cells, Bench]):
    """An audit with everything loaded; each kind of audit has its own.

    Attributes:
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        command: How to repeat the run.
        subject: The target and the truth; where the plan has trainings, the target is untrained.
        folder: Where modules, secrets and files that the plan names are looked for.
        plan_file: Where the plan is; ``None`` if it was made in Python.
    """

    plan: Plan
    plan_text: str
    command: str
    subject: Subject
    folder: Path
    plan_file: Path | None = field(default=None, kw_only=True)

    @classmethod
    def of_file(cls, plan: Plan, path: Path, subject: Subject) -> Self:
        """Returns the job of a plan in a file.

        Args:
            plan: What it says.
            path: Where it is.
            subject: The target and the truth.
        """
        text = toml_text(path)
        return cls(plan, text, f"darkroom audit {path.name}", subject, path.parent)

    @abstractmethod
    def models(self) -> Sequence[Model[Subject]]:
        """Returns the model that is given, or those to train, the undefended one first."""

    @abstractmethod
    def cells(self) -> Sequence[Cells]:
        """Returns every attack against every output defence, for one model.

        Raises:
            PlanError: If a name or a parameter is wrong, or an attack is shown too little.
        """

    @abstractmethod
    def facts(self) -> Facts:
        """Returns what the report says of the target and the data."""

    def check(self, subject: Subject, advance: Advance) -> Sequence[Check]:  # noqa: ARG002
        """Asks whether the model and the data are what their owner thinks; takes seconds.

        Args:
            subject: The undefended model and the truth.
            advance: Told how far it is.
        """
        return ()

    @abstractmethod
    def bench(self, subject: Subject, former: Bench | None, reporter: Reporter) -> Bench:
        """Returns what cells of a model are judged with.

        Args:
            subject: The model and the truth.
            former: The same for the model before, if any: what holds for both is kept.
            reporter: Shows each stage.
        """

    @abstractmethod
    def fit_prior(self, cell: Cells, subject: Subject, advance: Advance) -> Any:
        """Returns what the attacker of a cell knows before asking."""

    @abstractmethod
    def run_cell(
        self, key: str, cell: Cells, subject: Subject, prior: Any, bench: Bench, advance: Advance
    ) -> tuple[Cell, Arrays]:
        """Attacks, and judges what comes out.

        Returns:
            The cell, and the arrays for ``reconstructions.npz``.
        """

    @property
    def judged_by(self) -> str:
        """What decides how cells are judged, beside the seed and all data."""
        return ""

    def attacks(self, model: Model[Subject], cell: Cells) -> bool:  # noqa: ARG002
        """Tells whether an attack makes sense against a model."""
        return True

    @cached_property
    def planned(self) -> list[tuple[Model[Subject], Cells]]:
        """Every cell with its model, in the order of the report."""
        cells = self.cells()
        return [
            (model, cell) for model in self.models() for cell in cells if self.attacks(model, cell)
        ]

    @property
    def first(self) -> Model[Subject]:
        """The first model, which is the undefended one; its digest is worked out once."""
        return self.planned[0][0]

    def keys(self, version: str) -> list[str]:
        """Returns the key of every cell in the plan's order: a hash of all that decides it.

        Args:
            version: Darkroom's, since another one may attack or judge otherwise.
        """
        return [
            cell.key(f"{model.digest} {self.judged_by}", version) for model, cell in self.planned
        ]

    def run(
        self, keys: Iterable[str], version: str, reporter: Reporter
    ) -> Generator[FinishedCell, None, None]:
        """Runs the cells with these keys, one after another; those with the same prior share it.

        Args:
            keys: Some of :meth:`keys`; the next is asked for when a cell is written.
            version: Darkroom's.
            reporter: Shows each stage.
        """
        session = Session(self, self.keys(version), reporter)
        for key in keys:
            yield session.run(key)


class Session(Generic[Subject, Cells, Bench]):
    """What one process has at hand while it runs cells: a model with its judges, and priors."""

    def __init__(
        self, job: Job[Any, Subject, Cells, Bench], keys: Sequence[str], reporter: Reporter
    ) -> None:
        """Has nothing at hand yet.

        Args:
            job: The audit.
            keys: Those of all its cells, in order.
            reporter: Shows each stage.
        """
        self._job, self._reporter = job, reporter
        self._planned = dict(zip(keys, job.planned, strict=True))
        self._priors: dict[str, Any] = {}
        self._opened: Model[Subject] | None = None
        self._at_hand: tuple[Subject, Bench] | None = None

    def bench(self, key: str) -> tuple[Subject, Bench]:
        """Returns the model of a cell with the truth about it, and what it is judged with."""
        model, _ = self._planned[key]
        if self._at_hand is None or model is not self._opened:
            former = None if self._at_hand is None else self._at_hand[1]
            subject = model.open(self._reporter)
            self._at_hand = subject, self._job.bench(subject, former, self._reporter)
            self._opened = model
        return self._at_hand

    def prior(self, key: str, subject: Subject) -> Any:
        """Returns what the attacker of a cell knows before asking.

        Args:
            key: The cell's.
            subject: A model with the truth; what is known before is the same for all models.
        """
        _, cell = self._planned[key]
        words = repr(cell.prior)
        if words not in self._priors:
            with self._reporter.stage(f"Fitting prior {cell.prior.name}") as advance:
                self._priors[words] = self._job.fit_prior(cell, subject, advance)
        return self._priors[words]

    def run(self, key: str) -> FinishedCell:
        """Runs a cell."""
        model, cell = self._planned[key]
        subject, bench = self.bench(key)
        prior = self.prior(key, subject)
        with self._reporter.stage(cell.title) as advance:
            result, arrays = self._job.run_cell(key, cell, subject, prior, bench, advance)
        return FinishedCell(key, model.dress(result), arrays)


def trained_row(defenses: Sequence[Any], on: str = "") -> list[tuple[str, str]]:
    """Returns what :class:`Facts` say of models that the audit trains; nothing if it trains none.

    Args:
        defenses: How, the control among them.
        on: On what, in words.
    """
    names = ", ".join(describe(defense) for defense in defenses)
    return [("Trained by Darkroom", f"{on}{names}")] if defenses else []
