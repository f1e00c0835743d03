"""Answers moved toward the mean answer of the class that they name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.base import Labels, OutputDefense, Scores, blocks, normalised
from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError

LEAST = 1e-6
"""The share of the uniform answer in a class mean: a class that it never names at all would
otherwise be infinitely unlikely."""


@dataclass(frozen=True)
class Centred(OutputDefense):
    """What defences that know each class's mean answer share.

    Attributes:
        means: A ``.npy`` file with the mean answers, ``(classes, classes)``, a row a class; an
            audit works them out from the answers to the photos that the model was trained on.
        table: The mean answers themselves, for use from Python.
    """

    learns: ClassVar[bool] = True
    __pydantic_config__: ClassVar[Any] = {"arbitrary_types_allowed": True}

    means: str = field(default="", kw_only=True, metadata={"quiet": True})
    table: NDArray[np.float64] | None = field(
        default=None, kw_only=True, repr=False, compare=False, metadata={"hidden": True}
    )

    def prepared(self, folder: Path) -> Self:
        """Reads the class means, where a file is named; see :meth:`OutputDefense.prepared`."""
        before = super().prepared(folder)
        return replace(before, table=_read(folder / self.means)) if self.means else before

    def fitted(self, scores: Scores, labels: Labels) -> Self:
        """Takes the mean answer of each class, unless a file said what they are.

        A class without answers gets the answer that it is this class. The mean's largest score is
        always its own class's.
        """
        before = super().fitted(scores, labels)
        return before if self.means else replace(before, table=class_means(scores, labels))

    def decisive(self) -> dict[str, Any]:
        """Returns what decides answers; of a file with means, its content."""
        decisive = super().decisive()
        if self.means and self.table is not None:
            decisive["means"] = hashlib.sha256(self.table.tobytes()).hexdigest()
        return decisive

    def _means(self, classes: int) -> NDArray[np.float64]:
        if self.table is None or self.table.shape != (classes, classes):
            had = "none" if self.table is None else f"those of {len(self.table)}"
            raise PlanError(
                f"defence {self.name} needs the mean answers of {classes} classes and has {had}: "
                'give means = "FILE.npy"'
            )
        return self.table


@dataclass(frozen=True)
class Purify(Centred):
    """Moves every answer toward the mean answer of the class that it names.

    After prediction purification (Yang, Shao, Xuan, Chang & Zhang 2020), which lessens how much
    answers to one class differ. Differences from it:

    - theirs is an autoencoder, trained on held-out answers to rebuild an answer while the label
      stays; this is the linear map that such a purifier tends to, with one number to set;
    - it has no second stage that trains against an inversion model;
    - the label is kept always, not mostly.

    With the class means, whoever knows ``share`` undoes it; without them, the least score that a
    class ever got under a label tells nearly as much
    (:class:`darkroom.images.attacks.search.feedback.Feedback`).

    Attributes:
        share: Of the mean answer in what is answered, 0 to 1.
    """

    name: ClassVar[str] = "purify"
    cost: ClassVar[str] = "a look-up, two multiplications and a sum a score"

    share: float = 0.7

    def __post_init__(self) -> None:
        """Refuses what is no share.

        Raises:
            PlanError: If ``share`` is not 0 to 1.
        """
        if not 0 <= self.share <= 1:
            raise PlanError(f"defence purify: share must be 0 to 1, got {self.share}")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(share=self.share)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Moves toward the mean; see :meth:`OutputDefense.__call__`."""
        means = self._means(scores.shape[1])
        answers = np.empty_like(scores)
        for rows in blocks(*scores.shape):
            part = scores[rows]
            moved = means[part.argmax(axis=1)]
            moved *= self.share
            moved += (1 - self.share) * part
            answers[rows] = normalised(moved)
        return answers


def class_means(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """Returns the mean answer of each class, ``(classes, classes)``, positive everywhere.

    >>> answers = np.array([[0.8, 0.2], [0.6, 0.4]])
    >>> class_means(answers, np.array([0, 0])).round(3).tolist()
    [[0.7, 0.3], [0.0, 1.0]]
    """
    classes = scores.shape[1]
    means: NDArray[np.float64] = np.zeros((classes, classes))
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    if len(present):
        means[present] = np.add.reduceat(scores[order], starts, axis=0)
    means[means.sum(axis=1) == 0] += np.eye(classes)[means.sum(axis=1) == 0]
    own = np.arange(classes)
    means[own, own] = means.max(axis=1)
    shares: NDArray[np.float64] = (1 - LEAST) * normalised(means) + LEAST / classes
    return shares


def _read(path: Path) -> NDArray[np.float64]:
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PlanError(
            f"class means {path}: no file that NumPy can read: write one with numpy.save"
        ) from error
    square = isinstance(table, np.ndarray) and table.ndim == 2 and len(set(table.shape)) == 1
    if not square or not np.isfinite(table).all() or (table < 0).any():
        raise PlanError(f"class means {path}: give a square table of finite numbers, 0 or more")
    classes = len(table)
    return (1 - LEAST) * normalised(np.asarray(table, np.float64)) + LEAST / classes
