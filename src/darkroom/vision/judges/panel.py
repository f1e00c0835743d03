"""Judges that decide whether an image shows a given person.

An attack that only fools the target has recovered nothing, so the judges share neither photos nor
seeds with it, and are built in different ways. They are not enough: noise grown from grey
can win their majority, because each must name somebody. Before them stands a plausibility gate
that asks whether the image is a face at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.errors import DataError
from darkroom.vision.judges.base import Judge, Labels, Movable, Recogniser, Report
from darkroom.vision.judges.images import Images, shrink
from darkroom.vision.judges.plausibility import Gate, Measures
from darkroom.vision.judges.recognisers import own_judges

_LONGEST = 48  # pixels: finer detail than this tells noise apart, not people
_CHUNK = 256


Keep = Callable[[Judge, Callable[[], Recogniser]], Recogniser]
"""Given a judge and what trains it, returns it trained."""


def train_each(judge: Judge, train: Callable[[], Recogniser]) -> Recogniser:  # noqa: ARG001
    """Trains each judge anew."""
    return train()


def placed(recogniser: Recogniser, device: torch.device | str = "cpu") -> Recogniser:
    """Returns a recogniser on a device, if it can be there; otherwise as it is."""
    if isinstance(recogniser, Movable):
        return recogniser.to(torch.device(device))
    return recogniser


class Judgement(NamedTuple):
    """What the panel says of some images.

    Attributes:
        predictions: The person whom each judge names, int64 ``(n, judges)``; -1 for somebody else.
        measures: What the gate looks at, each ``(n,)``.
        plausible: Whether each image passes the gate, ``(n,)``.
    """

    predictions: Labels
    measures: Measures
    plausible: NDArray[np.bool_]

    def votes(self, goals: Labels) -> NDArray[np.bool_]:
        """Tells which judges name the goal, ``(n, judges)``, whatever the gate says.

        Args:
            goals: The person that each image shall show, ``(n,)``.
        """
        agree: NDArray[np.bool_] = self.predictions == np.asarray(goals)[:, None]
        return agree

    def names(self, goals: Labels) -> NDArray[np.bool_]:
        """Tells which images show the goal: plausible, and named by most judges.

        Args:
            goals: The person that each image shall show, ``(n,)``.
        """
        votes = self.votes(goals)
        success: NDArray[np.bool_] = self.plausible & (2 * votes.sum(axis=1) > votes.shape[1])
        return success


def joined(parts: Sequence[Judgement]) -> Judgement:
    """Puts judgements one after another, at least one."""
    measures = (np.concatenate(column) for column in zip(*(p.measures for p in parts), strict=True))
    return Judgement(
        np.concatenate([part.predictions for part in parts]),
        Measures(*measures),
        np.concatenate([part.plausible for part in parts]),
    )


@dataclass(frozen=True)
class Panel:
    """Judges behind a plausibility gate.

    Attributes:
        low: The value of black.
        high: The value of full intensity.
        shape: ``(channels, height, width)`` of the images.
        gate: Decides which images are plausible; it holds its limits.
        names: What the judges are called.
        judges: One for each of them, in that order.
        device: Where those that can are asked; the others, and the gate, are on the processor.
    """

    low: float
    high: float
    shape: tuple[int, ...]
    gate: Gate
    names: tuple[str, ...]
    judges: tuple[Recogniser, ...]
    device: str = "cpu"

    @classmethod
    def fit(
        cls,
        images: Images,
        people: Labels,
        *,
        public_images: Images | None = None,
        public_people: Labels | None = None,
        low: float = 0.0,
        high: float = 1.0,
        seed: int,
        judges: Sequence[Judge] | None = None,
        on_progress: Report | None = None,
        keep: Keep = train_each,
        device: torch.device | str = "cpu",
    ) -> Panel:
        """Trains the judges and calibrates the gate; takes some ten to twenty seconds.

        The global random state is left as it was.

        Args:
            images: Photos of the people under attack that the target was *not* trained on,
                float32 ``(n, channels, height, width)``; three or more a person are wanted.
            people: The class of each, ``(n,)``, not negative.
            public_images: Photos of strangers, of the same shape.
            public_people: Who is on those, ``(m,)``, in numbers of their own that have nothing to
                do with ``people``. The judges answer -1 for them. Without it the strangers serve
                the gate alone, and each judge names one of ``people`` for every image.
            low: The value of black.
            high: The value of full intensity.
            seed: For whatever is random in the judges.
            judges: Those that vote; :func:`own_judges` when left out.
            on_progress: Called with the training steps done and those in all.
            keep: Trains each judge, unless it has it already.
            device: Where judges learn that can, and are asked.

        Raises:
            DataError: If there are fewer than two people, if a class below the highest has no
                photo, or if labels, shapes or values do not fit together.
        """
        shape = _check(images, people, "judges' photos")
        _check_people(people)
        if not low < high:
            raise DataError(f"judges' photos: range [{low}, {high}] is empty: give low below high")
        private = _prepare(images, low, high)
        strangers = private[:0]
        if public_images is not None and len(public_images):
            _check(public_images, public_people, "public photos", shape)
            strangers = _prepare(public_images, low, high)
        gate = Gate.fit(private, people, strangers)
        others = _strangers(public_people if len(strangers) else None)
        known = torch.cat([private, strangers[: len(others)]])
        who = np.concatenate([people, others]).astype(np.int64)
        chosen = own_judges() if judges is None else judges
        there = known.to(device)
        fitted = []
        for one in chosen:
            shown = there if one.anywhere else known
            train = partial(one.fit, shown, who, seed=seed, on_progress=on_progress)
            fitted.append(keep(one, train))
        names = tuple(one.name for one in chosen)
        return cls(low, high, shape, gate, names, tuple(fitted)).to(device)

    def to(self, device: torch.device | str) -> Panel:
        """Returns the same panel whose judges are asked on a device, as far as they can be.

        Args:
            device: Where.
        """
        judges = tuple(placed(one, device) for one in self.judges)
        return replace(self, judges=judges, device=str(device))

    def judge(self, images: Images) -> Judgement:
        """Asks the gate and every judge.

        Args:
            images: Float32 ``(n, channels, height, width)`` in the range given to :meth:`fit`;
                ``n`` may be 0.

        Raises:
            DataError: If the shape differs from that of the photos, or values are not finite.
        """
        _check(images, None, "images to judge", self.shape)
        named = [np.empty((0, len(self.judges)), np.int64)]
        measured = [Measures(*np.empty((len(Measures._fields), 0)))]
        with torch.no_grad():
            for start in range(0, len(images), _CHUNK):
                rows = _prepare(images[start : start + _CHUNK], self.low, self.high)
                named.append(np.stack(list(self._named(rows)), axis=1))
                measured.append(self.gate.measure(rows))
        measures = Measures(*(np.concatenate(column) for column in zip(*measured, strict=True)))
        return Judgement(np.concatenate(named), measures, self.gate.passes(measures))

    def _named(self, rows: Tensor) -> Iterator[Labels]:
        there = rows.to(self.device)
        for name, judge in zip(self.names, self.judges, strict=True):
            named = judge(there if isinstance(judge, Movable) else rows)
            if named.shape != (len(rows),):
                raise DataError(
                    f"judge {name} answers {list(named.shape)} to {len(rows)} images: name one "
                    "person an image"
                )
            yield np.maximum(named, -1)


def _check(
    images: Images, people: Labels | None, what: str, shape: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Returns the shape of one image.

    Raises:
        DataError: If images and labels cannot be what they should.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"{what}: shape {list(images.shape)}: give (n, channels, height, width) with 1 or 3 "
            "channels"
        )
    if shape is not None and images.shape[1:] != shape:
        raise DataError(
            f"{what}: shape {list(images.shape[1:])}, but the judges' photos have {list(shape)}: "
            "resize them"
        )
    if people is not None and (people.ndim != 1 or len(people) != len(images)):
        raise DataError(f"{what}: {len(images)} photos but {len(people)} labels: give one each")
    if not np.isfinite(images).all():
        raise DataError(f"{what}: some values are not finite: mend or leave out those images")
    return tuple(images.shape[1:])


def _check_people(people: Labels) -> None:
    """Refuses labels from which no panel can be trained.

    Raises:
        DataError: If there are fewer than two people, or negative numbers.
    """
    known = np.unique(people)
    if len(known) < 2:
        raise DataError(
            f"judges' photos: {len(known)} people in {len(people)} photos: give held-out photos of "
            "at least two people"
        )
    if known[0] < 0:
        raise DataError(
            f"judges' photos: person {known[0]}, but -1 means somebody else: number from 0"
        )


def _prepare(images: Images, low: float, high: float) -> Tensor:
    """Brings images into [0, 1] and to the judges' size."""
    scaled = (torch.from_numpy(np.ascontiguousarray(images, np.float32)) - low) / (high - low)
    return shrink(scaled.clamp(0, 1), _LONGEST)


def _strangers(people: Labels | None) -> Labels:
    """Numbers strangers from -1 downward, in the order of their own numbers."""
    if people is None:
        return np.empty(0, np.int64)
    return -1 - np.unique(people, return_inverse=True)[1].astype(np.int64)
