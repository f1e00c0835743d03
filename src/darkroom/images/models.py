"""How an audit trains classifiers of images, and what that guarantees of people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import nn

from darkroom.auditing.record import Bound, Privacy
from darkroom.images.record import ImageCell
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import TorchTarget
from darkroom.training.defense import Advance, TrainingDefense, ignore
from darkroom.training.models import Trainer
from darkroom.training.modules import load_weights, weights_of
from darkroom.vision.training.base import Undefended
from darkroom.vision.training.course import ImageCourse, Recipe, Strangers
from darkroom.vision.training.guarantees import chances


@dataclass(frozen=True)
class ImageTrainer(Trainer[Subject, nn.Module, ImageCell]):
    """Trains the module of a target on the private photos that ``trained_on`` selects.

    Attributes:
        subject: The untrained model, a ``TorchTarget``, and all photos.
        recipe: What all trainings share.
        varied: Whether photos are moved, lit and coloured a little otherwise at each step.
        seed: The run's.
    """

    control: ClassVar[TrainingDefense[Any, Any]] = Undefended()
    suffix: ClassVar[str] = "safetensors"

    subject: Subject
    recipe: Recipe
    varied: bool
    seed: int

    def words(self) -> list[Any]:
        """Returns the recipe as JSON holds it; see :meth:`Trainer.words`."""
        return [self.recipe.words(), self.varied, sorted(self._target.learns)]

    def course(self, advance: Advance) -> ImageCourse:
        """Returns module, photos and recipe; see :meth:`Trainer.course`."""
        seen, public, spec = self.subject.seen, self.subject.public, self._target.spec
        return ImageCourse.of(
            self._target.model,
            seen.images,
            seen.people,
            seed=self.torch_seed(),
            strangers=None if public is None else Strangers(public.images, public.people),
            recipe=self.recipe.within(spec.low, spec.high, varied=self.varied),
            advance=advance,
            learns=self._target.learns,
        )

    def dump(self, model: nn.Module) -> bytes:
        """Returns the weights as safetensors; see :meth:`Trainer.dump`."""
        return weights_of(model)

    def load(self, defense: TrainingDefense[Any, nn.Module], file: Path) -> Subject:
        """Puts weights into a module that the defence has prepared; see :meth:`Trainer.load`."""
        course, target = self.course(ignore), self._target
        with course.seeded():
            module = defense.prepare(course.begun()).model
        load_weights(module, file)
        spec = target.spec
        trained = TorchTarget(
            module,
            spec.shape,
            value_range=(spec.low, spec.high),
            outputs="logits",
            name=target.name,
            device=str(target.device),
            batch=target.batch,
            memory=target.memory,
            precision=target.precision,
        )
        return replace(self.subject, target=trained)

    def bound(self, privacy: Privacy, cell: ImageCell) -> Bound:
        """Bounds the chance to reconstruct a person; see :meth:`Trainer.bound`.

        A judge names one person at most, so an answer made without the model is right for no more
        than one in as many as there are people; where the attacker without the model was luckier
        in this cell, that is taken.

        Returns:
            The chance without the model, and the bounds for a person and for one photo.
        """
        photos = int(np.bincount(self.subject.seen.people).max())
        baseline = max(1 / cell.goals, cell.baseline.estimate)
        found = chances(privacy, baseline, photos)
        return Bound(
            baseline=baseline,
            chances=found,
            exceeded=cell.success.low > found[0].most,
        )

    @property
    def _target(self) -> TorchTarget:
        target = self.subject.target
        assert isinstance(target, TorchTarget), "the plan has checked this"
        return target
