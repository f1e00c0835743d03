"""Training defences: what each owes, whatever kind of model it trains.

A training works on a :class:`Course`: a model, what it learns from, and how. Each kind of audit has
a course and a base class of its own; what differs between two defences of a kind is what they
change in the course before training, or the training itself.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, final

from darkroom.auditing.record import Privacy, TrainingFacts
from darkroom.named import describe

CONTROL = "none"
"""The name of the training without a defence, beside which every defence is measured."""

Advance = Callable[[int, int], None]
"""Told how much of a training is done, and of how much."""

M = TypeVar("M")


def ignore(done: int, total: int) -> None:
    """Tells nobody how far a training is."""


class Trained(NamedTuple, Generic[M]):
    """A trained model.

    Attributes:
        model: As it is used after training.
        facts: What is to be said of its training.
    """

    model: M
    facts: TrainingFacts


class Course(ABC, Generic[M]):
    """Everything that one training works on. Subclasses are frozen dataclasses.

    Attributes:
        model: As it is before training; a training changes a copy.
        seed: Decides everything random.
        advance: Told how far the training is.
    """

    model: M
    seed: int
    advance: Advance

    @abstractmethod
    def begun(self) -> Self:
        """Returns the course with a copy of the model, ready to learn, and fresh draws."""

    @abstractmethod
    def ended(self) -> M:
        """Returns the model as it is used after training."""

    def seeded(self) -> AbstractContextManager[None]:
        """Seeds what draws from a global random state, and leaves that state as it was."""
        return nullcontext()


C = TypeVar("C", bound=Course[Any])


class TrainingDefense(ABC, Generic[C, M]):
    """Trains a model. Subclasses are frozen dataclasses whose fields are their parameters.

    Attributes:
        name: The word used in plans.
        paper: Where it comes from.
        replaces: Whether a model of its own stands in the place of the given one.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    replaces: ClassVar[bool] = False

    @property
    def is_control(self) -> bool:
        """Whether this is the training without a defence."""
        return self.name == CONTROL

    @final
    def train(self, course: C) -> Trained[M]:
        """Trains a copy of the course's model; the same course gives the same model again.

        Global random states are left as they were.

        Raises:
            DataError: If model and data do not fit together.
            PlanError: If the defence cannot train such a model.
            MissingExtraError: If a library that the defence needs is not installed.
        """
        began = time.perf_counter()
        with course.seeded():
            own = self.prepare(course.begun())
            privacy = self._fit(own)
        seconds = time.perf_counter() - began
        facts = TrainingFacts(defense=describe(self), seconds=seconds, privacy=privacy)
        return Trained(own.ended(), facts)

    def prepare(self, course: C) -> C:
        """Returns the course with what the defence changes before training, if anything.

        Args:
            course: One that has begun; its model may be changed.

        Raises:
            PlanError: If the model is not of a kind that the defence can train.
        """
        return course

    @abstractmethod
    def _fit(self, course: C) -> Privacy | None:
        """Trains ``course.model`` and returns what that guarantees, or ``None`` for nothing."""


D = TypeVar("D", bound=TrainingDefense[Any, Any])


def with_control(control: D, named: Sequence[D]) -> list[D]:
    """Returns training defences after the control without any; nothing if none is named."""
    return [control, *(one for one in named if not one.is_control)] if named else []
