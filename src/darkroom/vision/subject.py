"""Photos of people under attack, of others whom an attacker has, and of those who take no part."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.errors import DataError
from darkroom.vision.photos import Photos
from darkroom.vision.spec import ImageSpec

FEWEST_PUBLIC = 40
"""Public people of whom some can be spared."""

ONE_IN = 4
"""Of how many public people one is held apart."""


def hold_apart(public: Photos | None) -> tuple[Photos | None, Photos | None]:
    """Holds every fourth public person apart from priors and judges, where there are enough.

    Returns:
        Those who stay public, and the strangers, or ``None`` where nobody can be spared.
    """
    if public is None:
        return None, None
    who = np.unique(public.people, return_inverse=True)[1]
    if who.max() + 1 < FEWEST_PUBLIC:
        return public, None
    apart = who % ONE_IN == ONE_IN - 1
    return public.select(~apart), public.select(apart)


class PhotoSubject(ABC):
    """What every kind that recovers pictures of people knows beside its model.

    Attributes:
        private: Photos of the people under attack.
        trained: Which of them the model was made from: trained on, or enrolled from, bool
            ``(photos,)``.
        public: Photos of other people, or ``None``.
        strangers: Photos of people who take part in nothing, neither in a prior nor in a judge's
            training, or ``None``: among them the right person is ranked.
        key: The key of ``[private]`` that says of which photos the model was made.
        saw: What these are, after "photos".
    """

    key: ClassVar[str] = "trained_on"
    saw: ClassVar[str] = "that the model was trained on"

    private: Photos
    trained: NDArray[np.bool_]
    public: Photos | None
    strangers: Photos | None

    @property
    @abstractmethod
    def spec(self) -> ImageSpec:
        """The images that the model takes."""

    @property
    def device(self) -> torch.device:
        """Where judges learn and look: where the model is; the processor where nobody knows."""
        return torch.device("cpu")

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What the device adds to what decides the judges; nothing on the processor."""
        return () if self.device.type == "cpu" else (self.device.type,)

    @property
    def goals(self) -> NDArray[np.int64]:
        """The classes to reconstruct, int64 ``(goals,)``."""
        return np.unique(self.private.people)

    @property
    def seen(self) -> Photos:
        """Private photos that the target was trained on."""
        return self.private.select(self.trained)

    @property
    def averages(self) -> NDArray[np.float32]:
        """The average of each goal's photos that the target was trained on, in their order."""
        images, people = self.seen.images, self.seen.people
        return np.stack([images[people == goal].mean(axis=0) for goal in self.goals])

    @property
    def held_out(self) -> Photos:
        """Private photos that the target never saw."""
        return self.private.select(~self.trained)

    def judge_split(self) -> tuple[Photos, Photos, bool]:
        """Divides photos into those that judges learn from and those that test the judges.

        Judges learn from photos that the target never saw, and are tested on those it did see,
        which are new to them. Where someone has no held-out photo, judges learn from every other
        photo that the target saw.

        Returns:
            Photos to learn from, photos to test on, and whether the first are all held out.

        Raises:
            DataError: If someone has a single photo.
        """
        if np.isin(self.goals, self.held_out.people).all():
            return self.held_out, self.seen, True
        even = self.private.numbers % 2 == 0
        learn, test = self.private.select(even), self.private.select(~even)
        if not np.isin(self.goals, test.people).all():
            raise DataError(
                "someone has a single private photo, or none of some: judges need two a person at "
                f"least, better some beside photos {self.saw} ([private] {self.key})"
            )
        return learn, test, False

    def photos_digest(self) -> str:
        """Returns a hash of all photos, of which of them the target saw, and of their range."""
        spec = self.spec
        parts = [repr((spec.low, spec.high)), *self.parts]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """A hash of each set of photos, and of which the target saw."""
        return (
            self.private.digest(),
            hashlib.sha256(np.packbits(self.trained).tobytes()).hexdigest(),
            "" if self.public is None else self.public.digest(),
            "" if self.strangers is None else self.strangers.digest(),
        )

    def unit(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns images of the target's range scaled to 0 to 1."""
        spec = self.spec
        scaled: NDArray[np.float32] = (images - np.float32(spec.low)).astype(np.float32, copy=False)
        scaled /= np.float32(spec.width_of_range)  # in place: photos are large
        return scaled.clip(0, 1, out=scaled)
