"""What is audited: the target, the photos it was trained on, and what is public."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import DataError
from darkroom.images.photos import Photos
from darkroom.images.targets.base import Target
from darkroom.named import origin

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


@dataclass(frozen=True)
class Subject:
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
                "someone has a single private photo: judges need two a person at least, better "
                "some that the target was not trained on ([private] trained_on)"
            )
        return learn, test, False

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
        parts = [self.target.fingerprint(), *origin(type(self.target)), *self._photos]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def photos_digest(self) -> str:
        """Returns a hash of all photos, of which of them the target saw, and of their range."""
        spec = self.target.spec
        parts = [repr((spec.low, spec.high)), *self._photos]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    @cached_property
    def _photos(self) -> tuple[str, ...]:
        return (
            self.private.digest(),
            hashlib.sha256(np.packbits(self.trained).tobytes()).hexdigest(),
            "" if self.public is None else self.public.digest(),
            "" if self.strangers is None else self.strangers.digest(),
        )

    def unit(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns images of the target's range scaled to 0 to 1."""
        spec = self.target.spec
        scaled: NDArray[np.float32] = (images - np.float32(spec.low)).astype(np.float32, copy=False)
        scaled /= np.float32(spec.width_of_range)  # in place: photos are large
        return scaled.clip(0, 1, out=scaled)
