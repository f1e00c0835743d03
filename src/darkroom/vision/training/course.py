"""What a training of a classifier of images works on: a module, photos, and how it is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.errors import DataError, PlanError, one_line
from darkroom.training.defense import Advance, Course, ignore
from darkroom.training.frozen import learning, released
from darkroom.training.modules import seeded
from darkroom.vision.training.augment import varying

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Changes each image a little, at random: ``(n, channels, height, width)`` to the same shape."""


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

    def words(self) -> dict[str, Any]:
        """Returns it as JSON holds it, without what photos go through."""
        return {key: value for key, value in vars(self).items() if key != "augment"}

    def within(self, low: float, high: float, *, varied: bool) -> Recipe:
        """Returns the same for photos of a range.

        Args:
            low: The value of black.
            high: That of full intensity.
            varied: Whether photos are moved, lit and coloured a little otherwise at each step.
        """
        return replace(
            self, value_range=(low, high), augment=varying(low, high) if varied else None
        )


@dataclass(frozen=True)
class ImageCourse(Course[nn.Module]):
    """Everything that one training of a classifier of images works on.

    Attributes:
        model: Returns logits ``(n, classes)``.
        images: Float32 ``(n, channels, height, width)``.
        labels: The class of each, int64 ``(n,)``, from 0.
        classes: What the module tells apart.
        strangers: Photos of people who are in no class, or ``None``.
        recipe: How to train.
        seed: Decides everything random.
        generator: The source of all draws but those of the module's own layers.
        advance: Told how many epochs are done, of how many.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    classes: int
    strangers: Strangers | None
    recipe: Recipe
    seed: int
    generator: torch.Generator
    advance: Advance
    learns: frozenset[str]

    @classmethod
    def of(
        cls,
        module: nn.Module,
        images: NDArray[np.float32],
        labels: NDArray[np.int64],
        *,
        seed: int,
        strangers: Strangers | None = None,
        recipe: Recipe | None = None,
        advance: Advance = ignore,
        learns: frozenset[str] | None = None,
    ) -> ImageCourse:
        """Checks that module and photos fit together.

        Args:
            module: Untrained; takes ``images`` and returns logits ``(n, classes)``. Left as it is.
            images: Float32 ``(n, channels, height, width)``.
            labels: The class of each, int64 ``(n,)``, from 0.
            seed: Decides everything random; must be secret where a private model is released.
            strangers: Photos of people who are in no class.
            recipe: How to train; the usual one when left out.
            advance: Told how many epochs are done, of how many.
            learns: The names of the weights that may learn; those that the module does not freeze
                when left out.

        Raises:
            DataError: If photos, labels, strangers and module do not fit together.
        """
        _check_photos(images, labels, strangers)
        return cls(
            model=module,
            images=torch.from_numpy(np.ascontiguousarray(images)),
            labels=torch.from_numpy(np.ascontiguousarray(labels)),
            classes=_classes(module, images, labels),
            strangers=strangers,
            recipe=recipe or Recipe(),
            seed=seed,
            generator=torch.Generator().manual_seed(seed),
            advance=advance,
            learns=learning(module) if learns is None else learns,
        )

    @property
    def device(self) -> torch.device:
        """Where the module is."""
        return next(self.model.parameters()).device

    def seen(self, rows: Tensor) -> Tensor:
        """Returns photos as a step sees them: each changed a little, where the module is."""
        photos, augment = self.images[rows], self.recipe.augment
        return (photos if augment is None else augment(photos, self.generator)).to(self.device)

    def seeded(self) -> AbstractContextManager[None]:
        """Seeds what the module's own layers draw; see :meth:`Course.seeded`."""
        return seeded(self.seed)

    def begun(self) -> ImageCourse:
        """Returns the course with a copy of the module that may learn; see the base."""
        return replace(
            self,
            model=released(copy.deepcopy(self.model), self.learns),
            generator=torch.Generator().manual_seed(self.seed),
        )

    def ended(self) -> nn.Module:
        """Returns the module in evaluation mode, with its weights frozen."""
        return self.model.eval().requires_grad_(False)


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
    """Returns how many classes a module tells apart, after asking a copy of it two photos."""
    if next(module.parameters(), None) is None:
        raise DataError("training: the module has no weights to train")
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            device = next(module.parameters()).device
            answers = copy.deepcopy(module).eval()(torch.from_numpy(images[:2]).to(device))
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
