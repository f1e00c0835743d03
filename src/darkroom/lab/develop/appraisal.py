"""What the audit says of a picture as the page shows it: confidence, votes, bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.judging import Bench
from darkroom.images.subject import Subject
from darkroom.lab.develop.events import Shown
from darkroom.report.faces.pictures import data_address
from darkroom.vision.judges.ranks import Floats, log_rank_right
from darkroom.vision.ranking import FEWEST_STRANGERS

Pixels = NDArray[np.uint8]
Confidences = Sequence[float | None]

SIDE = 160
"""The longest side of a picture on the page."""


class Verdict(NamedTuple):
    """What judges say of one picture.

    Attributes:
        votes: Which of them name the person.
        plausible: Whether it passes the gate.
        recovered: Whether both say so.
        bits: How far it narrows the person down.
    """

    votes: tuple[bool, ...]
    plausible: bool
    recovered: bool
    bits: float | None


class Appraiser:
    """Says of pictures what an audit would, without charging the attacker.

    What is asked is what is shown: bytes, not the numbers behind them.
    """

    def __init__(self, subject: Subject, start: Pixels) -> None:
        """Knows no judges yet.

        Args:
            subject: The target and the truth.
            start: The picture that the attack begins with, ``(channels, height, width)``.
        """
        self._subject, self._start = subject, start

    def show(
        self,
        people: NDArray[np.int64],
        pixels: Pixels,
        verdicts: list[Verdict] | None,
        confidences: Confidences | None = None,
    ) -> tuple[Shown, ...]:
        """Returns pictures for the page with the model's own confidence in them.

        Args:
            people: Whom each shall show, ``(n,)``.
            pixels: ``(n, channels, height, width)``.
            verdicts: What judges say of each; ``None`` while there are none.
            confidences: What the model says of each; it is asked when left out.
        """
        if confidences is None:
            confidences = confidences_of(self._subject, people, pixels)
        said: Sequence[Verdict | None] = verdicts or [None] * len(people)
        rows = zip(people.tolist(), pixels, confidences, said, strict=True)
        return tuple(
            Shown(
                person=person,
                picture=data_address(picture, SIDE, passing=True),
                confidence=confidence,
                **({} if verdict is None else verdict._asdict()),
            )
            for person, picture, confidence, verdict in rows
        )

    def judge(
        self,
        people: NDArray[np.int64],
        pixels: Pixels,
        bench: Bench,
        guessed: Floats | None,
    ) -> list[Verdict]:
        """Asks the judges.

        Args:
            people: Whom each shall show, ``(n,)``.
            pixels: ``(n, channels, height, width)``.
            bench: The judges.
            guessed: The expected log2 of each goal's rank without the model; ``None`` while it is
                not known.
        """
        judged = bench.panel.judge(in_range(self._subject, pixels))
        votes, success = judged.votes(people), judged.names(people)
        return [
            Verdict(
                tuple(bool(vote) for vote in votes[row]),
                bool(judged.plausible[row]),
                bool(success[row]),
                self._bits(int(person), pixels[row], bench, guessed),
            )
            for row, person in enumerate(people)
        ]

    def _bits(
        self, person: int, picture: Pixels, bench: Bench, guessed: Floats | None
    ) -> float | None:
        """Returns how far a picture narrows the person down among strangers.

        An audit takes away what all its reconstructions have in common. Here there may be one, so
        what is taken away is the picture that the attack began with.
        """
        gallery = bench.gallery
        if gallery is None or guessed is None or gallery.strangers < FEWEST_STRANGERS:
            return None
        both = (np.stack([picture, self._start]) / 255).astype(np.float32)
        likeness = gallery.likeness(both)
        place = int(np.flatnonzero(self._subject.goals == person)[0])
        # The right person of the second picture is of no interest: its rank is not read.
        own = likeness[:, [place, place]]
        ranked = np.concatenate([own, likeness[:, gallery.goals :]], axis=1)
        return float(guessed[place] - log_rank_right(ranked)[0])


def confidences_of(subject: Subject, people: NDArray[np.int64], pixels: Pixels) -> Confidences:
    """Asks the model how sure it is of each person; nothing of one that shows no confidence.

    Args:
        subject: The target and the truth.
        people: Whom each picture shall show, ``(n,)``.
        pixels: ``(n, channels, height, width)``.
    """
    if not subject.target.access.includes(Access.SCORES):
        return [None] * len(people)
    scores = subject.target.scores(in_range(subject, pixels))
    return [float(one) for one in scores[np.arange(len(people)), people]]


def in_range(subject: Subject, pixels: Pixels) -> NDArray[np.float32]:
    """Returns bytes as images in the target's range."""
    spec = subject.target.spec
    unit = pixels.astype(np.float32) / 255
    images: NDArray[np.float32] = (spec.low + spec.width_of_range * unit).astype(np.float32)
    return images


def as_pixels(subject: Subject, images: NDArray[np.float32]) -> Pixels:
    """Returns images of the target's range as the bytes that are shown."""
    pixels: Pixels = np.rint(255 * subject.unit(images)).astype(np.uint8)
    return pixels
