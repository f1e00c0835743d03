"""The models of an audit: the one that is given, or several that the audit trains."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from darkroom.auditing.artefacts import versions
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Bound, Cell, Privacy
from darkroom.files import leased
from darkroom.named import describe, identity
from darkroom.training.cells import dressed
from darkroom.training.defense import Advance, Course, Trained, TrainingDefense
from darkroom.training.storage import StoredModel


class Subject(Protocol):
    """A model with the truth about it; each kind of audit has its own."""

    def digest(self) -> str:
        """Returns a hash of the model and of all that is known of it."""


S = TypeVar("S", bound=Subject)
M = TypeVar("M")
R = TypeVar("R", bound=Cell)


@dataclass(frozen=True)
class GivenModel(Generic[S]):
    """The model that a plan names, as it is; a :class:`darkroom.auditing.job.Model`.

    Attributes:
        subject: The model with the truth about it.
        replaced: Never: it is the given one.
    """

    replaced: ClassVar[bool] = False

    subject: S

    @cached_property
    def digest(self) -> str:
        """A hash of the subject."""
        return self.subject.digest()

    def open(self, reporter: Reporter) -> S:  # noqa: ARG002
        """Returns the subject as it is."""
        return self.subject

    def dress(self, cell: R) -> R:
        """Returns a cell as it is."""
        return cell


class Trainer(ABC, Generic[S, M, R]):
    """How one kind of audit trains. Subclasses are frozen dataclasses.

    Attributes:
        control: The training without a defence.
        suffix: Of the files of trained models.
        subject: The model before training, with the truth about it.
        seed: The run's.
    """

    control: ClassVar[TrainingDefense[Any, Any]]
    suffix: ClassVar[str]
    subject: S
    seed: int

    @abstractmethod
    def words(self) -> list[Any]:
        """Returns what decides a model beside the subject, seed and defence, as JSON holds it."""

    @abstractmethod
    def course(self, advance: Advance) -> Course[M]:
        """Returns what every training works on."""

    def train(self, defense: TrainingDefense[Any, M], advance: Advance) -> Trained[M]:
        """Trains with a defence.

        Raises:
            DarkroomError: If the model cannot be trained.
        """
        return defense.train(self.course(advance))

    @abstractmethod
    def dump(self, model: M) -> bytes:
        """Returns what the file of a trained model holds.

        Raises:
            DarkroomError: If the model cannot be kept.
        """

    @abstractmethod
    def load(self, defense: TrainingDefense[Any, M], file: Path) -> S:
        """Returns the subject with a trained model in the place of the untrained one.

        Args:
            defense: It was trained with.
            file: Holds what :meth:`dump` returned.

        Raises:
            RunError: If the file is damaged.
        """

    @abstractmethod
    def bound(self, privacy: Privacy, cell: R) -> Bound | None:
        """Bounds the success of any attack on a model, or returns ``None`` where nothing is known.

        Args:
            privacy: What its training guarantees.
            cell: One of its cells.
        """

    def beside(self, privacy: Privacy) -> tuple[str, ...]:  # noqa: ARG002
        """Says in sentences what a guarantee leaves out; nothing where it leaves out nothing.

        Args:
            privacy: The guarantee.
        """
        return ()

    def torch_seed(self) -> int:
        """Returns the seed of a training in PyTorch, which is not the run's own."""
        return int(np.random.default_rng([self.seed, 7]).integers(2**31))


@dataclass(frozen=True)
class TrainedModel(Generic[S, R]):
    """A model that the audit trains; a :class:`darkroom.auditing.job.Model`.

    It is kept in the run's folder, with the facts of its training, so that a run that is resumed
    trains nothing twice.

    Attributes:
        trainer: What all models of the audit share.
        defense: How this one is trained.
        folder: Where models are kept.
    """

    trainer: Trainer[S, Any, R]
    defense: TrainingDefense[Any, Any]
    folder: Path

    @cached_property
    def digest(self) -> str:
        """A hash of the model before training, the truth, how it is trained, and by what."""
        trainer, defense = self.trainer, self.defense
        libraries = versions("opacus", "transformers", "skops")
        words = [*identity(defense), trainer.seed, *trainer.words(), *libraries]
        together = trainer.subject.digest() + json.dumps(words, sort_keys=True)
        return hashlib.sha256(together.encode()).hexdigest()

    @property
    def replaced(self) -> bool:
        """Whether the training puts a model of its own in the place of the given one."""
        return self.defense.replaces

    @property
    def stored(self) -> StoredModel:
        """Where the trained model is, or will be."""
        return StoredModel(self.folder / f"{self.digest[:16]}.{self.trainer.suffix}")

    @cached_property
    def control(self) -> TrainedModel[S, R]:
        """The same model, trained without a defence."""
        return replace(self, defense=self.trainer.control)

    def open(self, reporter: Reporter) -> S:
        """Returns the trained model with the truth; trains it, and its control, where missing.

        Raises:
            DarkroomError: If it cannot be trained, kept or read.
        """
        if not self.defense.is_control:
            self.control.make(reporter)
        self.make(reporter)
        return self.trainer.load(self.defense, self.stored.checked())

    def make(self, reporter: Reporter) -> None:
        """Trains and keeps the model, unless it is there; one process trains it, others wait.

        Raises:
            DarkroomError: If it cannot be trained or kept.
        """
        stored = self.stored
        if stored.exists():
            return
        stored.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with leased(stored.file.with_suffix(".lease"), wait=True):
            if stored.exists():
                return
            with reporter.stage(f"Training with {describe(self.defense)}") as advance:
                model, facts = self.trainer.train(self.defense, advance)
                stored.write(self.trainer.dump(model), facts)

    def dress(self, cell: R) -> R:
        """Names the training in a cell, with its cost and what it guarantees."""
        facts, control = self.stored.facts(), self.control.stored.facts()
        privacy, trainer = facts.privacy, self.trainer
        bound = None if privacy is None else trainer.bound(privacy, cell)
        beside = () if privacy is None else trainer.beside(privacy)
        return dressed(cell, facts, control, self.defense, bound, beside)
