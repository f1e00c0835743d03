"""Whether a photo stands in two sets that should have none in common.

Copies are found by their pixels, and where they were compressed, scaled or lit otherwise by small
pictures of them. How alike those of a copy are is measured against how alike those of different
people ever are, since portraits may be much alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from darkroom.auditing.record import Check
from darkroom.vision.photos import Photos, evenly, spread
from darkroom.vision.subject import PhotoSubject

NAME = "duplicates"

_MOST = 4000  # photos of a set
_SIDE = 16
_BLOCK = 512
_CLOSER = 0.3  # of what parts the most similar different people
_COPY, _SAME = 0.95, 0.995  # least likeness of a copy, and of one beside others of the same person
_SHOWN = 5

Images = NDArray[np.float32]
Vectors = NDArray[np.float32]


def check_duplicates(subject: PhotoSubject) -> Check:
    """Looks for private people among those of others, and for copies among the private photos.

    Args:
        subject: The model and the photos.
    """
    chosen = evenly(subject.private, _MOST)
    others = {"public photos": subject.public, "photos of strangers": subject.strangers}
    names = [name for name, photos in others.items() if photos is not None]
    sets = [subject.private.select(chosen)]
    sets += [spread(photos, _MOST) for photos in others.values() if photos is not None]
    vectors = [_vectors(photos.images, subject) for photos in sets]
    mean = np.concatenate(vectors).mean(axis=0)
    likeness = _Likeness(sets, [_directions(one, mean) for one in vectors])
    for place, name in enumerate(names, 1):
        shared = np.unique(sets[0].people[likeness.copied(0, place)])
        if len(shared):
            return _shared(sets[0], sets[place], name, shared, likeness.copied(place, 0))
    return _within(subject, sets[0], subject.trained[chosen], likeness, ["private photos", *names])


class _Likeness:
    """Which photos of some sets are copies of others."""

    def __init__(self, sets: list[Photos], directions: list[Vectors]) -> None:
        """Finds how alike different people are at most.

        Args:
            sets: Photos of people.
            directions: What each photo looks like, one array a set, rows of length one.
        """
        self.sets, self.directions = sets, directions
        self.digests = [np.array(list(_digests(one.images))) for one in sets]
        alike = [self._nearest(at, at, same=False) for at in range(len(sets))]
        # A few copies, or twins, must not hide one another.
        usual = float(np.quantile(np.concatenate(alike), 0.95))
        self.limit = max(_COPY, 1 - _CLOSER * (1 - usual))

    def copied(self, of: int, among: int) -> NDArray[np.bool_]:
        """Tells which photos of a set are also in another set."""
        exact = np.isin(self.digests[of], self.digests[among]) & _shows(self.directions[of])
        near: NDArray[np.bool_] = self._nearest(of, among, same=None) > self.limit
        return exact | near

    def repeated(self, *, same: bool) -> NDArray[np.int64]:
        """Returns pairs of copies in the first set, of the same person or of two, ``(n, 2)``."""
        people = self.sets[0].people
        found = []
        for rows, alike in self._blocks(0, 0):
            belong = people[rows, None] == people[None, :]
            limit = max(self.limit, _SAME) if same else self.limit
            near = (alike > limit) & (belong == same)
            first, second = np.nonzero(near)
            pairs = np.stack([first + rows.start, second], axis=1)
            found.append(pairs[pairs[:, 0] < pairs[:, 1]])
        return np.concatenate(found)

    def _nearest(self, of: int, among: int, *, same: bool | None) -> NDArray[np.float32]:
        """Returns each photo's likeness to the most similar one, of other people unless told."""
        nearest = []
        for rows, alike in self._blocks(of, among):
            if same is not None:
                own = self.sets[of].people[rows, None] == self.sets[among].people[None, :]
                alike = np.where(own == same, alike, -1)
            nearest.append(alike.max(axis=1))
        return np.concatenate(nearest)

    def _blocks(self, of: int, among: int) -> Iterator[tuple[slice, Vectors]]:
        """Yields the likeness of some rows of a set to all of another."""
        for start in range(0, len(self.directions[of]), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(self.directions[of])))
            yield rows, self.directions[of][rows] @ self.directions[among].T


def _vectors(images: Images, subject: PhotoSubject) -> Vectors:
    """Returns small grey pictures without their brightness and contrast, ``(n, values)``."""
    grey = torch.from_numpy(subject.unit(images).mean(axis=1, keepdims=True))
    height, width = (min(_SIDE, length) for length in grey.shape[2:])
    small = functional.adaptive_avg_pool2d(grey, (height, width)).flatten(1).numpy()
    return _directions(small - small.mean(axis=1, keepdims=True), np.zeros(1, np.float32))


def _directions(vectors: Vectors, mean: Vectors) -> Vectors:
    """Returns vectors from a mean, of length one; zero where there is no difference to tell."""
    apart = np.where(np.abs(vectors).max(axis=1, keepdims=True) > 1e-6, vectors - mean, 0)
    lengths = np.linalg.norm(apart, axis=1, keepdims=True)
    found: Vectors = np.where(lengths > 1e-6, apart / np.maximum(lengths, 1e-6), 0)
    return found.astype(np.float32)


def _shows(directions: Vectors) -> NDArray[np.bool_]:
    """Tells which photos show anything; those of one colour are all alike."""
    shown: NDArray[np.bool_] = np.abs(directions).max(axis=1) > 0
    return shown


def _digests(images: Images) -> Iterator[str]:
    for image in images:
        yield hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def _shared(
    private: Photos,
    others: Photos,
    name: str,
    shared: NDArray[np.int64],
    copies: NDArray[np.bool_],
) -> Check:
    """Reports people who are private and among others at once."""
    who = ", ".join(private.names[person] for person in shared[:_SHOWN])
    who += " ..." if len(shared) > _SHOWN else ""
    there = np.unique(others.people[copies])
    names = ", ".join(others.names[person] for person in there[:_SHOWN])
    names += " ..." if len(there) > _SHOWN else ""
    return Check(
        name=NAME,
        outcome="failed",
        found=f"{len(shared):,} of {len(np.unique(private.people)):,} private people are also "
        f"among the {name}, by {int(copies.sum()):,} photos that are the same: {who}.",
        cause="shared photos",
        remedy=f"Remove from the {name} the people {names}.",
    )


def _within(
    subject: PhotoSubject,
    private: Photos,
    trained: NDArray[np.bool_],
    likeness: _Likeness,
    names: list[str],
) -> Check:
    """Reports copies among the private photos: of two people, or seen and held out."""
    twins = likeness.repeated(same=False)
    if len(twins):
        first, second = (private.names[private.people[row]] for row in twins[0])
        return Check(
            name=NAME,
            outcome="noted",
            found=f"{len(twins):,} photos stand under two people, such as {first} and {second}.",
            cause="shared photos",
            remedy="Leave each photo with the person whom it shows.",
        )
    pairs = likeness.repeated(same=True)
    across = pairs[trained[pairs[:, 0]] != trained[pairs[:, 1]]]
    if len(across):
        copies = np.unique(np.where(trained[across[:, 0]], across[:, 1], across[:, 0]))
        held_out = int((~trained).sum())
        return Check(
            name=NAME,
            outcome="failed" if len(copies) > held_out / 2 else "noted",
            found=f"{len(copies):,} of {held_out:,} photos that were held out are copies of photos "
            f"{subject.saw}: they test neither model nor judges.",
            cause="shared photos",
            remedy=f"Hold out photos of other moments ([private] {subject.key}).",
        )
    sets = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    found = f"No photo is twice among the {sets}."
    return Check(name=NAME, outcome="passed", found=found)
