"""How an audit trains encoders of faces, and what that guarantees of people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import nn

from darkroom.auditing.record import Bound, Privacy
from darkroom.training.defense import Advance, TrainingDefense, ignore
from darkroom.training.models import Trainer
from darkroom.training.modules import load_weights, weights_of
from darkroom.verifiers.record import VerifierCell
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.base import Encoder
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.training.heads import HeadedEncoder, headed
from darkroom.vision.photos import Photos
from darkroom.vision.training.base import Undefended
from darkroom.vision.training.course import ImageCourse, Recipe, Strangers
from darkroom.vision.training.guarantees import chances


@dataclass(frozen=True)
class EncoderTrainer(Trainer[VerifierSubject, nn.Module, VerifierCell]):
    """Trains an encoder to tell people apart by a head, drops the head, and enrols people.

    Attributes:
        subject: The untrained encoder, a ``TorchEncoder``, and all photos.
        photos: Of those from whom it learns, who may be the people enrolled.
        enrolled: Enrols the people at another encoder, as the plan says.
        recipe: What all trainings share.
        varied: Whether photos are moved, lit and coloured a little otherwise at each step.
        seed: The run's.
    """

    control: ClassVar[TrainingDefense[Any, Any]] = Undefended()
    suffix: ClassVar[str] = "safetensors"

    subject: VerifierSubject
    photos: Photos
    enrolled: Callable[[Encoder], VerifierSubject]
    recipe: Recipe
    varied: bool
    seed: int

    def words(self) -> list[Any]:
        """Returns recipe and photos as JSON holds them; see :meth:`Trainer.words`."""
        return [
            self.recipe.words(),
            self.varied,
            sorted(self._encoder.learns),
            self.photos.digest(),
        ]

    def course(self, advance: Advance) -> ImageCourse:
        """Returns the encoder with a head, photos and recipe; see :meth:`Trainer.course`."""
        encoder, public, spec = self._encoder, self.subject.public, self.subject.spec
        people, labels = np.unique(self.photos.people, return_inverse=True)
        target = self.subject.embedding
        assert target is not None, "the plan has checked this"
        seed = self.torch_seed()
        module = headed(encoder.model, encoder.size, len(people), target.metric, seed)
        head = {f"head.{name}" for name, _ in module.head.named_parameters()}
        return ImageCourse.of(
            module,
            self.photos.images,
            labels.astype(np.int64),
            seed=seed,
            strangers=Strangers(public.images, public.people),
            recipe=self.recipe.within(spec.low, spec.high, varied=self.varied),
            advance=advance,
            learns=frozenset({f"encoder.{name}" for name in encoder.learns} | head),
        )

    def dump(self, model: nn.Module) -> bytes:
        """Returns the encoder's weights as safetensors, without the head."""
        assert isinstance(model, HeadedEncoder)
        return weights_of(model.encoder)

    def load(self, defense: TrainingDefense[Any, nn.Module], file: Path) -> VerifierSubject:
        """Enrols people at an encoder that a defence has trained; see :meth:`Trainer.load`."""
        course, untrained = self.course(ignore), self._encoder
        with course.seeded():
            module = defense.prepare(course.begun()).model
        assert isinstance(module, HeadedEncoder)
        load_weights(module.encoder, file)
        trained = TorchEncoder(
            module.encoder,
            untrained.spec,
            name=untrained.name,
            device=str(untrained.device),
            batch=untrained.batch,
            precision=untrained.precision,
        )
        return self.enrolled(trained)

    def bound(self, privacy: Privacy, cell: VerifierCell) -> Bound:  # noqa: ARG002
        """Bounds what the encoder alone gives away of those from whom it learned.

        Templates and scores of people enrolled follow from their own photos, which no training
        hides: success in a cell says nothing for or against this bound.

        Returns:
            The chance without the model, one in as many as there are people, and the bounds for a
            person and for one photo.
        """
        counts = np.unique(self.photos.people, return_counts=True)[1]
        baseline = 1 / len(counts)
        of = " in the encoder's training, by the encoder alone"
        return Bound(
            baseline=baseline,
            chances=chances(privacy, baseline, int(counts.max()), of),
            exceeded=False,
        )

    def beside(self, privacy: Privacy) -> tuple[str, ...]:
        """Says whom the guarantee is about, and that a store is no part of it."""
        photos = int(np.unique(self.photos.people, return_counts=True)[1].max())
        group = (
            f" Who has {photos} photos in it is protected like a group of {photos}."
            if privacy.unit == "photo" and photos > 1
            else ""
        )
        return (
            "The guarantee is about photos in the encoder\N{RIGHT SINGLE QUOTATION MARK}s training "
            f"and about its weights.{group} What is stored of people enrolled, and what scores "
            "against it tell, follows from their own photos and is no part of it.",
        )

    @property
    def _encoder(self) -> TorchEncoder:
        target = self.subject.embedding
        assert target is not None, "the plan has checked this"
        assert isinstance(target.encoder, TorchEncoder), "the job has checked this"
        return target.encoder
