"""One audit with everything loaded: every attack against every defence, for each model."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

from numpy.typing import NDArray

from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.auditing.blocks import Blocks
from darkroom.auditing.cell_plan import CellPlan
from darkroom.auditing.claims import PAUSE
from darkroom.auditing.plan import BasePlan
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Cell, Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import DarkroomError
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
        judged_with: What :meth:`bench` keeps is called so.
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        command: How to repeat the run.
        subject: The target and the truth; where the plan has trainings, the target is untrained.
        folder: Where modules, secrets and files that the plan names are looked for.
        plan_file: Where the plan is; ``None`` if it was made in Python.
    """

    judged_with: ClassVar[tuple[str, ...]] = ()

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

    def prior_shelf(self, cell: Cells) -> Artefacts:  # noqa: ARG002
        """Returns where the prior of a cell is kept, as ``prior-`` with its name."""
        return NOWHERE

    @abstractmethod
    def run_cell(
        self, key: str, cell: Cells, subject: Subject, prior: Any, bench: Bench, advance: Advance
    ) -> tuple[Cell, Arrays]:
        """Attacks, or takes blocks that are all made, and judges what comes out.

        Returns:
            The cell, and the arrays for ``reconstructions.npz``.
        """

    def blocks(self, key: str, cell: Cells) -> Blocks | None:  # noqa: ARG002
        """Cuts a cell into blocks that are attacked apart; ``None`` where it is attacked whole.

        Args:
            key: The cell's.
            cell: Which.
        """
        return None

    def run_block(
        self, cell: Cells, subject: Subject, prior: Any, goals: range, advance: Advance
    ) -> Iterable[Mapping[str, NDArray[Any]]]:
        """Attacks a block of a cell that :meth:`blocks` cuts, and yields what is kept of it.

        Args:
            cell: Which.
            subject: The model and the truth.
            prior: What the attacker knows beforehand.
            goals: Of the block, by position.
            advance: Told how far it is.
        """
        raise NotImplementedError("the cells of this kind are not cut")

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
        self._opened: tuple[Model[Subject], Subject] | None = None
        self._judged: tuple[Model[Subject], Bench] | None = None

    def subject(self, key: str) -> Subject:
        """Returns the model of a cell with the truth about it."""
        model, _ = self._planned[key]
        if self._opened is None or model is not self._opened[0]:
            self._opened = model, model.open(self._reporter)
        return self._opened[1]

    def bench(self, key: str) -> Bench:
        """Returns what a cell is judged with."""
        model, _ = self._planned[key]
        if self._judged is None or model is not self._judged[0]:
            former = None if self._judged is None else self._judged[1]
            made = self._job.bench(self.subject(key), former, self._reporter)
            self._judged = model, made
        return self._judged[1]

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

    def run(self, key: str, others: Iterable[str] = ()) -> FinishedCell:
        """Runs a cell; of one that is cut, the blocks that nobody else makes.

        Args:
            key: The cell's.
            others: Cells that somebody is to run too: their priors are fitted for as long as
                another process makes what cells are judged with.
        """
        model, cell = self._planned[key]
        subject = self.subject(key)
        if self._judged is None or self._judged[0] is not model:
            self._prepare((key, *others), subject)
        bench = self.bench(key)
        prior = self.prior(key, subject)
        blocks = self._job.blocks(key, cell)
        if blocks is not None:
            self._make_all(key, blocks)
        with self._reporter.stage(cell.title) as advance:
            result, arrays = self._job.run_cell(key, cell, subject, prior, bench, advance)
        return FinishedCell(key, model.dress(result), arrays)

    def _prepare(self, keys: Iterable[str], subject: Subject) -> None:
        """Has priors fitted that nobody fits, while others make what cells are judged with.

        They are kept for whoever runs those cells; what is wrong with one, its own cell says.
        """
        job, shelves = self._job, self._job.plan.shelves
        for key in keys:
            if not any(one.making(name) for one in shelves for name in job.judged_with):
                return
            _, cell = self._planned[key]
            title = f"Fitting prior {cell.prior.name}"
            with job.prior_shelf(cell).alone(f"prior-{cell.prior.name}") as missing:
                if missing:
                    with suppress(DarkroomError), self._reporter.stage(title) as advance:
                        job.fit_prior(cell, subject, advance)

    def assist(self, key: str) -> bool:
        """Makes the next block of a cell that nobody has or makes; tells whether there was one."""
        blocks = self._job.blocks(key, self._planned[key][1])
        if blocks is None:
            return False
        return any(self.make_block(key, number) for number in range(len(blocks.ranges)))

    def make_block(self, key: str, number: int) -> bool:
        """Makes a block of a cell that is cut; see :meth:`.Blocks.make`."""
        _, cell = self._planned[key]
        blocks = self._job.blocks(key, cell)
        assert blocks is not None

        def attack(goals: range) -> Iterator[Mapping[str, NDArray[Any]]]:
            subject = self.subject(key)
            prior = self.prior(key, subject)
            title = f"{cell.title}, goals {goals.start + 1} to {goals.stop}"
            with self._reporter.stage(title) as advance:
                yield from self._job.run_block(cell, subject, prior, goals, advance)

        return blocks.make(number, attack)

    def _make_all(self, key: str, blocks: Blocks) -> None:
        """Makes blocks that nobody else makes, and waits for the others."""
        count = len(blocks.ranges)
        while not all(map(blocks.made, range(count))):
            if self.assist(key):
                continue
            with self._reporter.stage("Waiting for blocks that other processes make") as advance:
                while blocks.others:
                    advance(count - blocks.others, count)
                    time.sleep(PAUSE)


def trained_row(defenses: Sequence[Any], on: str = "") -> list[tuple[str, str]]:
    """Returns what :class:`Facts` say of models that the audit trains; nothing if it trains none.

    Args:
        defenses: How, the control among them.
        on: On what, in words.
    """
    names = ", ".join(describe(defense) for defense in defenses)
    return [("Trained by Darkroom", f"{on}{names}")] if defenses else []
