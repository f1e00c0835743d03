"""Training defences: how a model is trained so that less of its photos can be read out of it.

Every defence trains a user's own untrained module on the user's own photos, and so does the
control :class:`Undefended`, with the same loop: what differs between two trained models is the
defence alone. A few lines do it::

    course = ImageCourse.of(my_module, images, labels, strangers=Strangers(others, who), seed=0)
    trained = UniformConfidence().train(course)
    trained.model, trained.facts.seconds
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.training.defense import CONTROL, TrainingDefense
from darkroom.training.frozen import in_training
from darkroom.training.schedules import one_cycle
from darkroom.vision.training.course import ImageCourse

Objective = Callable[[Tensor, Tensor, float], Tensor]
"""Turns images, who is on them and the share of training that is over into a loss."""


class ImageTraining(TrainingDefense[ImageCourse, nn.Module]):
    """Trains a classifier of images: unless told otherwise, with cross-entropy and nothing else.

    Weights of a trained module fit a module that went through :meth:`prepare`.
    """

    def _fit(self, course: ImageCourse) -> Privacy | None:
        run_epochs(course, plain_loss(course.model))
        return None


@dataclass(frozen=True)
class Undefended(ImageTraining):
    """Changes nothing: the control beside which each defence is measured."""

    name: ClassVar[str] = CONTROL
    paper: ClassVar[str] = ""


def plain_loss(module: nn.Module) -> Objective:
    """Returns the cross-entropy of a module's answers, and nothing else."""
    return lambda seen, people, _: functional.cross_entropy(module(seen), people)


def run_epochs(
    course: ImageCourse, objective: Objective, *, frozen: nn.Module | None = None
) -> None:
    """Trains ``course.model`` as the recipe says.

    Args:
        course: The module and the photos.
        objective: What is minimised.
        frozen: Modules that stay in evaluation mode.
    """
    recipe, module, n = course.recipe, course.model, len(course.images)
    steps = math.ceil(n / recipe.batch)
    # The share of the weights that stay as they are has no gradient, and so no decay.
    optimizer = torch.optim.AdamW(
        [weight for weight in module.parameters() if weight.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    schedule = one_cycle(optimizer, recipe.learning_rate, recipe.epochs * steps, rising=0.2)
    for epoch in range(recipe.epochs):
        in_training(module)
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
