"""Differentially private training, through Opacus."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.errors import MissingExtraError, PlanError, one_line
from darkroom.training.mixing import MOST, require_apart
from darkroom.training.private_sgd import Descent, noise_for
from darkroom.vision.training.base import ImageTraining
from darkroom.vision.training.course import ImageCourse
from darkroom.vision.training.transfer import freeze, pretrain


@dataclass(frozen=True)
class PrivateSGD(ImageTraining):
    """Clips what each photo adds to a step and drowns it in noise.

    Abadi et al., Deep Learning with Differential Privacy (CCS 2016), with Opacus' gradients,
    clipping and noise, and its accountant by privacy random variables (Gopi et al. 2021), which
    also chooses the noise for the epsilon asked for. Each step draws every unit independently
    (Poisson sampling), as the accountant supposes.

    What is protected is one *photo* or one *person*. A face is reconstructed from all photos of a
    person, so epsilon for a photo says little about a face: a person with k photos is protected
    like a group of k, which ``darkroom.statistics.reconstruction_bound`` computes. With ``unit =
    "person"`` all photos of a person are averaged before clipping, and epsilon is for the person.

    The guarantee holds for whoever does not know the noise: a model that is released must be
    trained with a secret seed. The noise is PyTorch's, not a cryptographic generator's.

    Where Opacus cannot tell photos' gradients apart, as of a weight that a functional call uses,
    photos pass one at a time, which takes longer and guarantees the same.

    Differences from the paper:
        - SGD has momentum, and the learning rate falls along half a cosine.
        - The module may be trained on strangers first, and early layers frozen; strangers are not
          protected.

    Attributes:
        epsilon: What may be spent, above 0; ``inf`` clips and samples without noise.
        delta: At which chance, in (0, 1).
        unit: What epsilon is for.
        clip: The largest norm of what one unit adds to a step, above 0.
        batch: Photos a step on average; the recipe's when left out.
        epochs: The recipe's when left out.
        learning_rate: Of SGD, above 0.
        momentum: In [0, 1).
        group_norm: Whether layers of batch normalisation, which mix photos, are replaced by group
            normalisation; else a module with such layers is refused.
        pretrain_epochs: Passes over the strangers before; 0 for none.
        frozen: The share of layers with weights that private photos never change, from 0 to below
            1; only with ``pretrain_epochs``.
        at_once: Photos whose gradients are held in memory.
    """

    name: ClassVar[str] = "dp-sgd"
    paper: ClassVar[str] = "Abadi et al. 2016"

    epsilon: float = 8.0
    delta: float = 1e-5
    unit: Literal["photo", "person"] = "photo"
    clip: float = 1.0
    batch: int | None = None
    epochs: int | None = None
    learning_rate: float = 0.2
    momentum: float = 0.9
    group_norm: bool = False
    pretrain_epochs: int = 0
    frozen: float = 0.0
    at_once: int = 128

    def __post_init__(self) -> None:
        """Refuses what cannot be trained or accounted for.

        Raises:
            PlanError: If a value is out of its range.
        """
        owner = f"training defence {self.name}"
        if not (self.epsilon > 0 and 0 < self.delta < 1):
            raise PlanError(
                f"{owner}: epsilon {self.epsilon:g} and delta {self.delta:g}: give above 0, and "
                "between 0 and 1"
            )
        if min(self.clip, self.learning_rate) <= 0 or not 0 <= self.momentum < 1:
            raise PlanError(
                f"{owner}: clip {self.clip:g}, learning_rate {self.learning_rate:g}, momentum "
                f"{self.momentum:g}: give above 0, above 0, and from 0 to below 1"
            )
        if min(self.batch or 1, self.epochs or 1, self.at_once) < 1 or self.pretrain_epochs < 0:
            raise PlanError(f"{owner}: batch, epochs and at_once must be 1 or more")
        if not 0 <= self.frozen < 1 or (self.frozen and not self.pretrain_epochs):
            raise PlanError(
                f"{owner}: frozen {self.frozen:g} with pretrain_epochs {self.pretrain_epochs}: "
                "freeze a share below 1, of layers that strangers have trained"
            )

    def prepare(self, course: ImageCourse) -> ImageCourse:
        """Replaces or refuses layers that mix photos; see :meth:`TrainingDefense.prepare`.

        Raises:
            PlanError: If the module has layers whose gradient one photo cannot have alone.
            MissingExtraError: If Opacus is not installed.
        """
        try:
            from opacus.validators import ModuleValidator
        except ImportError as error:
            raise MissingExtraError("opacus", "dp") from error
        module = course.model.train()
        if self.group_norm:
            module = ModuleValidator.fix(module)
        errors = ModuleValidator.validate(module)
        if errors:
            layers = module.modules()
            mixing = any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in layers)
            hint = (
                "set group_norm = true to train it with group normalisation instead"
                if mixing
                else one_line(errors[0])
            )
            raise PlanError(
                f"training defence {self.name}: the module has layers that mix photos, such as "
                f"batch normalisation, so no photo's share of a step can be bounded: {hint}"
            )
        return replace(course, model=module)

    def _fit(self, course: ImageCourse) -> Privacy | None:
        if self.pretrain_epochs:
            if course.strangers is None:
                raise PlanError(
                    f"training defence {self.name}: pretrain_epochs needs photos of strangers"
                )
            pretrain(course, self.pretrain_epochs, self.name)
        if self.frozen:
            freeze(course.model, self.frozen)
        require_apart(
            course.model,
            lambda module, photos: module(photos),
            course.images[:MOST].to(course.device),
            lambda photos: photos.flip(2) * 0.5,
            course.seeded,
            self._owner,
            "photo",
        )
        epochs = self.epochs or course.recipe.epochs
        rate = min(1.0, (self.batch or course.recipe.batch) / len(course.images))
        steps = math.ceil(epochs / rate)
        noise = noise_for(self.epsilon, self.delta, rate, steps, self._owner)
        weights = [weight for weight in course.model.parameters() if weight.requires_grad]

        def losses(module: nn.Module, rows: Tensor) -> Tensor:
            people = course.labels[rows].to(course.device)
            return functional.cross_entropy(module(course.seen(rows)), people, reduction="sum")

        descent = Descent(noise, self.clip, rate, steps, self.at_once, self._owner)
        descent.run(
            course.model,
            losses,
            self._units(course),
            torch.optim.SGD(weights, lr=self.learning_rate, momentum=self.momentum),
            course.generator,
            lambda done: course.advance(min(epochs, int(done * rate)), epochs),
        )
        return descent.privacy(self.unit, self.delta)

    @property
    def _owner(self) -> str:
        return f"training defence {self.name}"

    def _units(self, course: ImageCourse) -> Tensor:
        """Returns the unit to which each photo belongs, int64 ``(n,)`` from 0 without gaps."""
        if self.unit == "photo":
            return torch.arange(len(course.images))
        return torch.from_numpy(np.unique(course.labels.numpy(), return_inverse=True)[1])
