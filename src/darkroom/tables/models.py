"""The models of an audit of tables: the one that is given, or several that the audit trains."""

from __future__ import annotations

import hashlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Bound, Chance, Privacy, TrainingFacts
from darkroom.errors import MissingExtraError, PlanError, RunError, TargetError, one_line
from darkroom.files import write_private
from darkroom.imports import load_skops
from darkroom.named import describe, identity
from darkroom.statistics.reconstruction_bound import Mechanism, reconstruction_bound
from darkroom.tables.record import TableCell
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.sklearn import SklearnTableTarget, UntrainedTableTarget
from darkroom.tables.training.columns import PublicTable
from darkroom.tables.training.defenses import TableTrainingDefense, UndefendedTable
from darkroom.training.cells import damaged, dressed


class TableModel(ABC):
    """One model under audit, which may have to be made first."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash of all that decides the model, and of all rows."""

    @abstractmethod
    def open(self, reporter: Reporter) -> TableSubject:
        """Returns the model with the truth about it."""

    def dress(self, cell: TableCell) -> TableCell:
        """Returns a cell of this model with what is to be said of the model."""
        return cell


@dataclass(frozen=True)
class GivenTableModel(TableModel):
    """The model that a plan names, as it is.

    Attributes:
        subject: The model and all rows.
    """

    subject: TableSubject

    @cached_property
    def digest(self) -> str:
        """A hash of the target and all rows."""
        return self.subject.digest()

    def open(self, reporter: Reporter) -> TableSubject:  # noqa: ARG002
        """Returns the subject as it is."""
        return self.subject


@dataclass(frozen=True)
class TrainedTableModel(TableModel):
    """A model that the audit trains on the private rows that ``trained_on`` selects.

    The fitted estimator is kept in the run's folder as skops, with the facts of its training, so
    that a run that is resumed trains nothing twice.

    Attributes:
        subject: The estimator, an ``UntrainedTableTarget``, and all rows.
        defense: How it is trained.
        seed: The run's: of estimators without a seed of their own, and of noise.
        folder: Where models are kept.
        trusted: Types in the estimator that skops does not know to be safe.
    """

    subject: TableSubject
    defense: TableTrainingDefense
    seed: int
    folder: Path
    trusted: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """A hash of the untrained estimator, of all rows and of how it is trained."""
        words = [identity(self.defense), self.seed]
        together = self.subject.digest() + json.dumps(words, sort_keys=True, default=str)
        return hashlib.sha256(together.encode()).hexdigest()

    @property
    def file(self) -> Path:
        """Where the fitted estimator is, or will be."""
        return self.folder / f"{self.digest[:16]}.skops"

    @property
    def facts_file(self) -> Path:
        """Where the facts of its training are; written last, so a model with them is whole."""
        return self.file.with_suffix(".json")

    @cached_property
    def control(self) -> TrainedTableModel:
        """The same model, trained without a defence."""
        return replace(self, defense=UndefendedTable())

    def open(self, reporter: Reporter) -> TableSubject:
        """Returns the trained model with the truth; trains it, and its control, where missing.

        Raises:
            DarkroomError: If it cannot be trained, kept or read.
        """
        if self.defense != UndefendedTable() and not self.control.facts_file.exists():
            self.control.open(reporter)
        if not self.facts_file.exists():
            with reporter.stage(f"Training with {describe(self.defense)}"):
                self._keep(*self._train())
        target = SklearnTableTarget(self._load(), self._target.schema, name=self._target.name)
        return replace(self.subject, target=target)

    def dress(self, cell: TableCell) -> TableCell:
        """Names the training in a cell, with its cost and what it guarantees."""
        facts = _Kept.read(self.facts_file)
        return dressed(
            cell,
            facts,
            _Kept.read(self.control.facts_file),
            name=self.defense.name,
            paper=self.defense.paper,
            bound=_bound(facts.privacy, cell),
        )

    @property
    def _target(self) -> UntrainedTableTarget:
        target = self.subject.target
        assert isinstance(target, UntrainedTableTarget), "the plan has checked this"
        return target

    def _train(self) -> tuple[Any, TrainingFacts]:
        data, schema = self.subject.data, self._target.schema
        public = PublicTable(
            schema.names,
            tuple(column.values for column in schema.columns),
            schema.response.values,
            data.public.rows,
            data.public.response,
        )
        began = time.perf_counter()
        try:
            estimator = self.defense.apply_to(self._target.estimator, public, self.seed)
            estimator.fit(
                schema.decode(data.members.rows), schema.response.decode(data.members.response)
            )
        except (ValueError, TypeError) as error:
            raise TargetError(
                f"target {self._target.name} cannot be trained ({one_line(error)}): check what "
                "[target] load returns"
            ) from error
        seconds = time.perf_counter() - began
        facts = TrainingFacts(
            defense=describe(self.defense), seconds=seconds, privacy=self.defense.privacy()
        )
        return estimator, facts

    def _keep(self, estimator: Any, facts: TrainingFacts) -> None:
        """Writes the estimator, then the facts."""
        try:
            from skops import io
        except ImportError as error:
            raise MissingExtraError("skops", "vision") from error
        content = io.dumps(estimator)
        found = io.get_untrusted_types(data=content)
        unknown = sorted(set(found) - set(self._known(found)))
        if unknown:
            names = ", ".join(f'"{name}"' for name in unknown)
            raise PlanError(
                f"target {self._target.name} has parts that are not known to be safe to read "
                f"again: if you trust them, set [target] trusted = [{names}]"
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.file, content)
        kept = _Kept(**dict(facts), sha256=hashlib.sha256(content).hexdigest())
        write_private(self.facts_file, kept.model_dump_json().encode())

    def _load(self) -> Any:
        """Reads the estimator.

        Raises:
            RunError: If it is not the one that was written.
        """
        try:
            from skops import io
        except ImportError as error:
            raise MissingExtraError("skops", "vision") from error
        written = _Kept.read(self.facts_file).sha256
        if not self.file.is_file() or written != hashlib.sha256(self.file.read_bytes()).hexdigest():
            raise RunError(
                f"{self.file}: not the model that was trained: remove it and "
                f"{self.facts_file.name}, then go on with --resume"
            )
        return load_skops(self.file, self._known(io.get_untrusted_types(file=self.file)))

    def _known(self, types: Sequence[str]) -> list[str]:
        """Returns the types that are scikit-learn's, our own, or trusted by the plan."""
        own = ("sklearn.", "darkroom.tables.training.estimators.")
        return [name for name in types if name.startswith(own) or name in self.trusted]


class _Kept(TrainingFacts):
    """What is kept beside an estimator: the facts of its training, and a hash of its file."""

    sha256: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads them.

        Raises:
            RunError: If the file is damaged.
        """
        try:
            return cls.model_validate_json(file.read_bytes(), strict=True)
        except (OSError, ValidationError) as error:
            raise damaged(file, error) from error


def _bound(privacy: Privacy | None, cell: TableCell) -> Bound | None:
    """Bounds how often any attack is right about a member, where training guarantees it.

    The model without the row is one that was trained on other rows, so the chance without is how
    often the attack is right about others.
    """
    others = cell.details.others
    if privacy is None or others is None:
        return None
    baseline = others.success.attack.estimate
    if privacy.delta == 0:
        grown = math.exp(privacy.epsilon)
        row = min(1.0, grown * baseline, 1 - (1 - baseline) / grown)
    elif 0 < baseline < 1:
        noise = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
        row = reconstruction_bound(baseline, noise)
    else:
        row = 1.0
    chance = Chance(about="row", examples=1, most=row)
    return Bound(baseline=baseline, chances=(chance,), exceeded=cell.success.low > row)
