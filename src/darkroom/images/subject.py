"""What is audited: the target, the photos it was trained on, and what is public."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import DataError
from darkroom.images.targets.base import Target
from darkroom.named import origin
from darkroom.vision.photos import Photos
from darkroom.vision.spec import ImageSpec
from darkroom.vision.subject import PhotoSubject


@dataclass(frozen=True)
class Subject(PhotoSubject):
    """A target with the truth about it.

    Attributes:
        target: The model under audit.
        private: Photos of the target's classes; the person on a photo is the class.
        trained: Which private photos the target was trained on, bool ``(photos,)``.
        public: Photos of other people, or ``None``.
        strangers: Photos of people who take part in nothing, neither in a prior nor in a judge's
            training, or ``None``: among them the right person is ranked.
    """

    target: Target
    private: Photos
    trained: NDArray[np.bool_]
    public: Photos | None
    strangers: Photos | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be judged.

        Raises:
            DataError: If photos do not fit the target, there are fewer than two people or more
                than the target has classes, or the target was trained on none of someone's photos.
        """
        target, private = self.target, self.private
        target.spec.check(private.images, "private photos")
        if self.public is not None:
            target.spec.check(self.public.images, "public photos")
        if self.strangers is not None:
            target.spec.check(self.strangers.images, "photos of strangers")
        if len(self.goals) < 2:
            raise DataError(
                f"private photos show {len(self.goals)} person: a judge needs at least two to "
                "choose from"
            )
        if self.goals.max() >= target.classes:
            raise DataError(
                f"private photos show {int(self.goals.max()) + 1} people, but the target has "
                f"{target.classes} classes: people must be the target's classes, in order"
            )
        if not np.isin(self.goals, private.people[self.trained]).all():
            raise DataError(
                "the target was trained on none of some person's photos: check [private] trained_on"
            )

    @property
    def spec(self) -> ImageSpec:
        """The images that the target takes."""
        return self.target.spec

    @property
    def device(self) -> torch.device:
        """Where the target is; see :attr:`PhotoSubject.device`."""
        return self.target.device

    def fitted(self, defense: Pipeline) -> Pipeline:
        """Returns output defences with what they must know of the target learned.

        They learn it, as the owner would, from answers to the photos that the target was trained
        on: accuracy is measured on the others.
        """
        if not defense.learns:
            return defense
        return defense.fitted(self.target.scores(self.seen.images), self.seen.people)

    def digest(self) -> str:
        """Returns a hash of the target and all photos."""
        parts = [self.target.fingerprint(), *origin(type(self.target)), *self.parts]
        return hashlib.sha256("".join(parts).encode()).hexdigest()
