"""Transfer learning as a defence: only late layers ever see private photos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from darkroom.auditing.record import Privacy
from darkroom.errors import DataError, PlanError
from darkroom.training.defense import ignore
from darkroom.vision.training.base import ImageTraining, plain_loss, run_epochs
from darkroom.vision.training.course import ImageCourse
from darkroom.vision.training.modules import output_layer, replace_layer, weighted_layers


@dataclass(frozen=True)
class Transfer(ImageTraining):
    """Trains on strangers first, then freezes early layers and trains the others on private photos.

    Ho et al., Model Inversion Robustness: Can Transfer Learning Help? (CVPR 2024), TL-DMI: early
    layers say most about the photo itself, so they are taken from public photos and never touched.

    Differences from the paper:
        - The public photos are the strangers at hand, told apart by who is on them, not ImageNet.
        - How many layers are frozen is a share of those with weights, in the order in which the
          module defines them.

    Attributes:
        frozen: The share of layers with weights that is frozen, at least one and never the last;
            between 0 and 1.
        pretrain_epochs: Passes over the strangers, 1 or more; as many as over the private photos
            when left out.
    """

    name: ClassVar[str] = "transfer"
    paper: ClassVar[str] = "Ho et al. 2024"

    frozen: float = 0.5
    pretrain_epochs: int | None = None

    def __post_init__(self) -> None:
        """Refuses what freezes nothing or everything.

        Raises:
            PlanError: If a value is out of its range.
        """
        if not 0 < self.frozen < 1 or (self.pretrain_epochs or 1) < 1:
            raise PlanError(
                f"training defence {self.name}: frozen {self.frozen:g} and pretrain_epochs "
                f"{self.pretrain_epochs}: give between 0 and 1, and 1 or more"
            )

    def _fit(self, course: ImageCourse) -> Privacy | None:
        if course.strangers is None:
            raise DataError(
                f"training defence {self.name} learns from photos of strangers: give some "
                "([public] in a plan)"
            )
        pretrain(course, self.pretrain_epochs or course.recipe.epochs, self.name)
        run_epochs(course, plain_loss(course.model), frozen=freeze(course.model, self.frozen))
        return None


def pretrain(course: ImageCourse, epochs: int, owner: str) -> None:
    """Trains ``course.model`` to tell strangers apart, then gives it a fresh output layer.

    Args:
        course: Has strangers.
        epochs: Passes over them.
        owner: The defence, for messages.

    Raises:
        PlanError: If the strangers are one person, or the module has no output layer.
    """
    assert course.strangers is not None, "the defence has checked this"
    names, people = np.unique(course.strangers.people, return_inverse=True)
    if len(names) < 2:
        raise PlanError(f"training defence {owner}: strangers must be two people at least")
    module = course.model
    name, layer = output_layer(module, f"training defence {owner}")

    def head(classes: int) -> nn.Module:
        return nn.Linear(layer.in_features, classes, layer.bias is not None).to(course.device)

    replace_layer(module, name, lambda _: head(len(names)))
    lesson = replace(
        course,
        images=torch.from_numpy(np.ascontiguousarray(course.strangers.images)),
        labels=torch.from_numpy(people.astype(np.int64)),
        recipe=replace(course.recipe, epochs=epochs),
        advance=ignore,
    )
    run_epochs(lesson, plain_loss(module))
    replace_layer(module, name, lambda _: head(layer.out_features))


def freeze(module: nn.Module, share: float) -> nn.ModuleList:
    """Stops the first layers with weights from learning.

    Args:
        module: Is changed.
        share: Of the layers with weights; at least one is frozen, and never the last.

    Returns:
        The frozen layers.
    """
    layers = weighted_layers(module)
    count = min(max(1, int(share * len(layers))), len(layers) - 1)
    return nn.ModuleList(layers[:count]).requires_grad_(False)
