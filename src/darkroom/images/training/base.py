"""Training defences: how a model is trained so that less of its photos can be read out of it.

Every defence trains a user's own untrained module on the user's own photos, and so does the
control :class:`Undefended`, with the same loop: what differs between two trained models is the
defence alone. A few lines do it::

    trained = UniformConfidence().train(
        my_module, images, labels, strangers=Strangers(others, who), rng=np.random.default_rng(0)
    )
    trained.module, trained.facts.seconds
"""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.auditing.record import Privacy as Privacy
from darkroom.auditing.record import TrainingFacts as TrainingFacts
from darkroom.errors import DataError, PlanError, one_line
from darkroom.named import describe as describe

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Changes each image a little, at random: ``(n, channels, height, width)`` to the same shape."""

Advance = Callable[[int, int], None]


class Strangers(NamedTuple):
    """Photos of people whom the model is not to know.

    Attributes:
        images: Float32 ``(n, channels, height, width)``, in the range of the private ones.
        people: Who is on each, int64 ``(n,)``; any numbering.
    """

    images: NDArray[np.float32]
    people: NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a module is trained, whatever the defence: AdamW, one rise and fall of the rate.

    Attributes:
        epochs: Passes over the photos, 1 or more.
        batch: Photos a step, 2 or more.
        learning_rate: The highest, above 0.
        weight_decay: AdamW's, 0 or more.
        value_range: The values of black and of full intensity.
        augment: What each photo goes through before each step, or ``None``.
    """

    epochs: int = 24
    batch: int = 40
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    value_range: tuple[float, float] = (0.0, 1.0)
    augment: Augment | None = None

    def __post_init__(self) -> None:
        """Refuses what trains nothing.

        Raises:
            PlanError: If a figure is out of its range.
        """
        if self.epochs < 1 or self.batch < 2 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise PlanError(
                f"training: epochs {self.epochs}, batch {self.batch}, learning rate "
                f"{self.learning_rate:g}, weight decay {self.weight_decay:g}: give at least 1, at "
                "least 2, above 0, and 0 or more"
            )
        if not self.value_range[0] < self.value_range[1]:
            raise PlanError(f"training: range {list(self.value_range)}: give black, then white")


class Trained(NamedTuple):
    """A trained model.

    Attributes:
        module: In evaluation mode; returns logits.
        facts: What is to be said of its training.
    """

    module: nn.Module
    facts: TrainingFacts


@dataclass(frozen=True)
class Course:
    """Everything that one training works on.

    Attributes:
        module: Is changed.
        images: Float32 ``(n, channels, height, width)``.
        labels: Int64 ``(n,)``.
        classes: What the module tells apart.
        strangers: Photos of others, or ``None``.
        recipe: How to train.
        generator: The source of all draws but those of the module's own layers.
        advance: Told how many epochs are done, of how many.
    """

    module: nn.Module
    images: Tensor
    labels: Tensor
    classes: int
    strangers: Strangers | None
    recipe: Recipe
    generator: torch.Generator
    advance: Advance

    @property
    def device(self) -> torch.device:
        """Where the module is."""
        return next(self.module.parameters()).device

    def seen(self, rows: Tensor) -> Tensor:
        """Returns photos as a step sees them: each changed a little, where the module is."""
        photos, augment = self.images[rows], self.recipe.augment
        return (photos if augment is None else augment(photos, self.generator)).to(self.device)


Objective = Callable[[Tensor, Tensor, float], Tensor]
"""Turns images, who is on them and the share of training that is over into a loss."""


class TrainingDefense(ABC):
    """Trains a module. Subclasses are frozen dataclasses whose fields are their parameters.

    Attributes:
        name: The word used in plans.
        paper: Where it comes from.
        needs_strangers: Whether it cannot do without photos of others.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    needs_strangers: ClassVar[bool] = False

    def prepare(self, module: nn.Module) -> nn.Module:
        """Returns the module with the layers that the defence trains; the same one, or changed.

        Weights that :meth:`train` returned fit a module that went through this.

        Raises:
            PlanError: If the module is not of a kind that the defence can train.
        """
        return module

    @final
    def train(
        self,
        module: nn.Module,
        images: NDArray[np.float32],
        labels: NDArray[np.int64],
        *,
        strangers: Strangers | None = None,
        recipe: Recipe | None = None,
        rng: np.random.Generator,
        on_progress: Advance | None = None,
    ) -> Trained:
        """Trains a copy of a module; the same seed gives the same weights.

        Torch's global random state is left as it was.

        Args:
            module: Untrained; takes ``images`` and returns logits ``(n, classes)``. Left as it is.
            images: Float32 ``(n, channels, height, width)``.
            labels: The class of each, int64 ``(n,)``, from 0.
            strangers: Photos of people who are in no class.
            recipe: How to train; the usual one when left out.
            rng: Decides everything random.
            on_progress: Told how many epochs are done, of how many.

        Raises:
            DataError: If photos, labels, strangers and module do not fit together.
            PlanError: If the defence cannot train such a module.
            MissingExtraError: If a library that the defence needs is not installed.
        """
        recipe = recipe or Recipe()
        _check_photos(images, labels, strangers)
        if strangers is None and self.needs_strangers:
            raise DataError(
                f"training defence {self.name} learns from photos of strangers: give some "
                "([public] in a plan)"
            )
        seed = int(rng.integers(2**31))
        began = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            changed = self.prepare(copy.deepcopy(module)).requires_grad_(True)
            course = Course(
                module=changed,
                images=torch.from_numpy(np.ascontiguousarray(images)),
                labels=torch.from_numpy(np.ascontiguousarray(labels)),
                classes=_classes(changed, images, labels),
                strangers=strangers,
                recipe=recipe,
                generator=torch.Generator().manual_seed(seed),
                advance=on_progress or ignore,
            )
            privacy = self._fit(course)
        facts = TrainingFacts(
            defense=describe(self), seconds=time.monotonic() - began, privacy=privacy
        )
        return Trained(changed.eval().requires_grad_(False), facts)

    @abstractmethod
    def _fit(self, course: Course) -> Privacy | None:
        """Trains ``course.module``, most often by :func:`run_epochs`."""


@dataclass(frozen=True)
class Undefended(TrainingDefense):
    """Cross-entropy and nothing else: the control beside which each defence is measured."""

    name: ClassVar[str] = "none"
    paper: ClassVar[str] = ""

    def _fit(self, course: Course) -> Privacy | None:
        run_epochs(course, plain_loss(course.module))
        return None


def plain_loss(module: nn.Module) -> Objective:
    """Returns the cross-entropy of a module's answers, and nothing else."""
    return lambda seen, people, _: functional.cross_entropy(module(seen), people)


def run_epochs(course: Course, objective: Objective, *, frozen: nn.Module | None = None) -> None:
    """Trains ``course.module`` as the recipe says.

    Args:
        course: The module and the photos.
        objective: What is minimised.
        frozen: Modules that stay in evaluation mode.
    """
    recipe, module, n = course.recipe, course.module, len(course.images)
    steps = math.ceil(n / recipe.batch)
    # The share of the weights that stay as they are has no gradient, and so no decay.
    optimizer = torch.optim.AdamW(
        [weight for weight in module.parameters() if weight.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.2
    )
    for epoch in range(recipe.epochs):
        module.train()
        if frozen is not None:
            frozen.eval()
        order = torch.randperm(n, generator=course.generator)
        # As many parts as steps, of even size: a last part of one would leave batch
        # normalisation without a variance.
        for step, rows in enumerate(order.tensor_split(steps)):
            share = (epoch + step / steps) / recipe.epochs
            people = course.labels[rows].to(course.device)
            loss = objective(course.seen(rows), people, share)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        course.advance(epoch + 1, recipe.epochs)


def ignore(done: int, total: int) -> None:
    """Tells nobody how far a training is."""


def _check_photos(
    images: NDArray[np.float32], labels: NDArray[np.int64], strangers: Strangers | None
) -> None:
    """Refuses photos that cannot be trained on."""
    if images.ndim != 4 or labels.shape != (len(images),) or len(images) < 2:
        raise DataError(
            f"training: images {list(images.shape)} and labels {list(labels.shape)}: give "
            "(n, channels, height, width) and (n,), two photos at least"
        )
    if images.dtype != np.float32 or labels.dtype != np.int64:
        raise DataError(
            f"training: images of {images.dtype} and labels of {labels.dtype}: give float32 and "
            "int64"
        )
    if strangers is None:
        return
    others, people = strangers
    if others.shape[1:] != images.shape[1:] or people.shape != (len(others),) or len(others) < 2:
        raise DataError(
            f"training: strangers {list(others.shape)} with people {list(people.shape)} beside "
            f"images {list(images.shape)}: give the same shape, one person each, two at least"
        )


def _classes(module: nn.Module, images: NDArray[np.float32], labels: NDArray[np.int64]) -> int:
    """Returns how many classes a module tells apart, after asking it two photos."""
    if next(module.parameters(), None) is None:
        raise DataError("training: the module has no weights to train")
    try:
        with torch.no_grad():
            device = next(module.parameters()).device
            answers = module.eval()(torch.from_numpy(images[:2]).to(device))
    except Exception as error:
        raise DataError(
            f"training: the module cannot take images of shape {list(images.shape[1:])} "
            f"({one_line(error)})"
        ) from error
    if not isinstance(answers, Tensor) or answers.ndim != 2 or len(answers) != 2:
        raise DataError("training: the module must return one row of logits an image")
    classes = int(answers.shape[1])
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"training: labels from {labels.min()} to {labels.max()}, but the module tells "
            f"{classes} classes apart: number the people from 0"
        )
    return classes
