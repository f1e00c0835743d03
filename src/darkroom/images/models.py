"""The models of an audit of images: the one that is given, or several that the audit trains."""

from __future__ import annotations

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Bound, Chance, Privacy, TrainingFacts
from darkroom.errors import RunError, one_line
from darkroom.files import write_private
from darkroom.images.record import ImageCell
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.training.augment import vary
from darkroom.images.training.base import (
    Augment,
    Recipe,
    Strangers,
    Trained,
    TrainingDefense,
    Undefended,
    describe,
)
from darkroom.named import identity, origin
from darkroom.statistics.reconstruction_bound import Mechanism, reconstruction_bound
from darkroom.training.cells import dressed


class Model(ABC):
    """One model under audit, which may have to be made first."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash of all that decides the model, and of all photos."""

    @abstractmethod
    def open(self, reporter: Reporter) -> Subject:
        """Returns the model with the truth about it."""

    def dress(self, cell: ImageCell) -> ImageCell:
        """Returns a cell of this model with what is to be said of the model."""
        return cell


@dataclass(frozen=True)
class GivenModel(Model):
    """The model that a plan names, as it is.

    Attributes:
        subject: The model and all photos.
    """

    subject: Subject

    @cached_property
    def digest(self) -> str:
        """A hash of the target and all photos."""
        return subject_digest(self.subject)

    def open(self, reporter: Reporter) -> Subject:  # noqa: ARG002
        """Returns the subject as it is."""
        return self.subject


@dataclass(frozen=True)
class TrainedModel(Model):
    """A model that the audit trains on the private photos that ``trained_on`` selects.

    Its weights are kept in the run's folder, with the facts of its training, so that a run that is
    resumed trains nothing twice.

    Attributes:
        subject: The untrained model, a ``TorchTarget``, and all photos.
        defense: How it is trained.
        recipe: What all trainings share.
        varied: Whether photos are moved, lit and coloured a little otherwise at each step.
        seed: The run's.
        folder: Where weights are kept.
    """

    subject: Subject
    defense: TrainingDefense
    recipe: Recipe
    varied: bool
    seed: int
    folder: Path

    @cached_property
    def digest(self) -> str:
        """A hash of the untrained model, of all photos and of how it is trained."""
        shared = {key: value for key, value in vars(self.recipe).items() if key != "augment"}
        words = [identity(self.defense), shared, self.varied, self.seed]
        together = subject_digest(self.subject) + json.dumps(words, sort_keys=True)
        return hashlib.sha256(together.encode()).hexdigest()

    @property
    def weights(self) -> Path:
        """Where the trained weights are, or will be."""
        return self.folder / f"{self.digest[:16]}.safetensors"

    @cached_property
    def control(self) -> TrainedModel:
        """The same model, trained without a defence."""
        return replace(self, defense=Undefended())

    def open(self, reporter: Reporter) -> Subject:
        """Returns the trained model with the truth; trains it, and its control, where missing.

        Raises:
            DarkroomError: If it cannot be trained, or its weights cannot be kept or read.
        """
        if self.defense != Undefended() and not self.control.weights.exists():
            self.control.open(reporter)
        if not self.weights.exists():
            with reporter.stage(f"Training with {describe(self.defense)}") as advance:
                self._keep(self._train(advance))
        target = self._target
        module = self.defense.prepare(copy.deepcopy(target.model))
        tensors, _ = _read(self.weights)
        module.load_state_dict(tensors)
        spec = target.spec
        trained = TorchTarget(
            module,
            spec.shape,
            value_range=(spec.low, spec.high),
            outputs="logits",
            name=target.name,
            device=str(target.device),
            batch=target.batch,
        )
        return replace(self.subject, target=trained)

    def dress(self, cell: ImageCell) -> ImageCell:
        """Names the training in a cell, with its cost and what it guarantees."""
        facts, control = _read(self.weights)[1], _read(self.control.weights)[1]
        return dressed(
            cell,
            facts,
            control,
            name=self.defense.name,
            paper=self.defense.paper,
            bound=self._bound(facts.privacy, cell),
        )

    def _bound(self, privacy: Privacy | None, cell: ImageCell) -> Bound | None:
        """Bounds the success of any attack on the model, where training guarantees something.

        A judge names one person at most, so an answer made without the model is right for no more
        than one in as many as there are people; where the attacker without the model was luckier
        in this cell, that is taken.

        Returns:
            The chance without the model, and the bounds for a person and for one photo.
        """
        if privacy is None:
            return None
        photos = int(np.bincount(self.subject.seen.people).max())
        baseline = max(1 / cell.goals, cell.baseline.estimate)
        chances = [Chance(about="person", examples=photos, most=1.0)]
        if privacy.noise_multiplier > 0:
            noise = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
            alone = reconstruction_bound(baseline, noise)
            if privacy.unit == "person":
                chances = [Chance(about="person", examples=photos, most=alone)]
            else:
                together = reconstruction_bound(baseline, noise, records=photos)
                chances = [
                    Chance(about="person", examples=photos, most=together),
                    Chance(about="photo", examples=1, most=alone),
                ]
        return Bound(
            baseline=baseline,
            chances=tuple(chances),
            exceeded=cell.success.low > chances[0].most,
        )

    @property
    def _target(self) -> TorchTarget:
        target = self.subject.target
        assert isinstance(target, TorchTarget), "the plan has checked this"
        return target

    def _train(self, advance: Any) -> Trained:
        seen, public, spec = self.subject.seen, self.subject.public, self._target.spec
        strangers = None if public is None else Strangers(public.images, public.people)
        recipe = replace(
            self.recipe,
            value_range=(spec.low, spec.high),
            augment=_varying(spec.low, spec.high) if self.varied else None,
        )
        return self.defense.train(
            self._target.model,
            seen.images,
            seen.people,
            strangers=strangers,
            recipe=recipe,
            rng=np.random.default_rng([self.seed, 7]),
            on_progress=advance,
        )

    def _keep(self, trained: Trained) -> None:
        """Writes weights and facts in one piece."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Tensors that share memory are written apart, each whole.
        tensors = {
            name: value.detach().cpu().clone().contiguous()
            for name, value in trained.module.state_dict().items()
        }
        facts = trained.facts.model_dump_json()
        write_private(self.weights, save(tensors, metadata={"facts": facts}))


def _varying(low: float, high: float) -> Augment:
    """Returns :func:`vary` for images of another range."""

    def varied(images: Tensor, generator: torch.Generator) -> Tensor:
        return vary((images - low) / (high - low), generator) * (high - low) + low

    return varied


def _read(file: Path) -> tuple[dict[str, Tensor], TrainingFacts]:
    """Reads weights and facts.

    Raises:
        RunError: If the file is damaged.
    """
    try:
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            facts = opened.metadata()["facts"]
            return tensors, TrainingFacts.model_validate_json(facts, strict=True)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{file}: the trained weights are damaged ({one_line(error)}): remove the file, then "
            "go on with --resume"
        ) from error


def subject_digest(subject: Subject) -> str:
    """Returns a hash of the target and all photos."""
    parts = [
        subject.target.fingerprint(),
        *origin(type(subject.target)),
        subject.private.digest(),
        hashlib.sha256(np.packbits(subject.trained).tobytes()).hexdigest(),
        "" if subject.public is None else subject.public.digest(),
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
