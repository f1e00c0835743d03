"""Output defences that move answers toward what the model usually says of a class."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkroom.defenses.base import Labels, OutputDefense, Scores, blocks, normalised
from darkroom.defenses.sticky_noise import Sticky, uniforms
from darkroom.errors import PlanError

LEAST = 1e-6
"""The share of the uniform answer in a class mean: a class that it never names at all would
otherwise be infinitely unlikely."""

TINY = np.float32(1e-30)
"""Added before a logarithm, since zero times the logarithm of zero is zero."""

PART = 32
"""Classes in a part of a row, when one of them is drawn."""

CLOSE = 1e-4
"""A level is found when a step moves it by a smaller share."""

ALL = 1e30
"""A ceiling that nothing reaches."""

NEWTON = 30
"""Steps of a search that ends by itself after about five."""


@dataclass(frozen=True)
class Centred(OutputDefense):
    """What defences that know each class's mean answer share.

    Attributes:
        means: A ``.npy`` file with the mean answers, ``(classes, classes)``, a row a class; an
            audit works them out from the answers to the photos that the model was trained on.
        table: The mean answers themselves, for use from Python.
    """

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
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False
    cost: ClassVar[str] = "a look-up, two multiplications and a sum a score"

    share: float = 0.7

    def __post_init__(self) -> None:
        """Refuses what is no share.

        Raises:
            PlanError: If ``share`` is not 0 to 1.
        """
        if not 0 <= self.share <= 1:
            raise PlanError(f"defence purify: share must be 0 to 1, got {self.share}")

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


@dataclass(frozen=True)
class StealthyShield(Centred):
    """Stealthy Shield Defense, SSD (ICLR 2025), with fresh draws as in its reference code.

    For an answer ``f``, a class ``y`` is drawn from ``softmax(f / temperature)``, and the answer
    becomes that which is nearest to the mean answer ``q`` of ``y``, in Kullback-Leibler divergence
    ``KL(p || q)``, among all within the L1 distance ``radius * entropy(f)`` of ``f``, entropy in
    nats. The nearest one raises scores to no less than ``a * q`` and lowers them to no more than
    ``b * q``; ``a`` and ``b`` are found by Newton's method, which on these functions ends
    at the root itself.

    Differences from the paper: the mean answers are those to the photos that the model was trained
    on instead of to validation photos, so that accuracy on the latter is not flattered; and they
    hold a millionth of the uniform answer.

    Attributes:
        radius: The paper's epsilon, 0 or more.
        temperature: Above 0; the paper's T.
    """

    name: ClassVar[str] = "stealthy-shield"
    deterministic: ClassVar[bool] = False
    changes_label: ClassVar[bool] = True
    cost: ClassVar[str] = "about ten sums over the scores a row that is uncertain"

    radius: float = 0.5
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Refuses what is no ball and no temperature.

        Raises:
            PlanError: If ``radius`` is negative or ``temperature`` is not above 0.
        """
        _require_ball(self.name, self.radius, self.temperature)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Draws and pulls; see :meth:`OutputDefense.__call__`."""
        drawn = rng.random(len(scores))
        means = self._means(scores.shape[1])
        return shielded(scores, drawn, means, self.radius, self.temperature)


@dataclass(frozen=True)
class KeyedStealthyShield(Centred, Sticky):
    """Stealthy Shield Defense whose draw is fixed by the quantised input.

    Fresh draws leak to whoever asks again. The paper proposes to derive the draw from a hash of
    the input, and does not evaluate it; here it is derived as :class:`Sticky` says, so that
    near-duplicates get the same draw too. See :class:`StealthyShield` for the rest.

    Attributes:
        radius: The paper's epsilon, 0 or more.
        temperature: Above 0; the paper's T.
    """

    name: ClassVar[str] = "keyed-stealthy-shield"
    changes_label: ClassVar[bool] = True
    cost: ClassVar[str] = "an HMAC a row, and what stealthy-shield costs"

    radius: float = 0.5
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Refuses what is no ball and no temperature; see :meth:`Sticky.__post_init__`.

        Raises:
            PlanError: If a value is out of its range.
        """
        super().__post_init__()
        _require_ball(self.name, self.radius, self.temperature)

    def __call__(
        self, scores: Scores, rng: np.random.Generator, inputs: ArrayLike | None = None
    ) -> Scores:
        """Draws and pulls; see :meth:`darkroom.defenses.sticky_noise.Keyed.__call__`."""
        return Sticky.__call__(self, scores, rng, inputs)

    def answer(self, scores: Scores, seeds: list[bytes]) -> Scores:
        """Pulls each row toward the class that its seed draws."""
        means = self._means(scores.shape[1])
        return shielded(scores, uniforms(seeds), means, self.radius, self.temperature)


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


def shielded(
    scores: Scores,
    drawn: NDArray[np.float64],
    means: NDArray[np.float64],
    radius: float,
    temperature: float,
) -> Scores:
    """Pulls answers toward means of drawn classes; see :class:`StealthyShield`.

    Args:
        scores: ``(n, classes)``.
        drawn: A uniform number in [0, 1) for each row, which picks its class.
        means: Each class's mean answer, positive, ``(classes, classes)``.
        radius: Times the entropy, the L1 distance allowed.
        temperature: Of the softmax that classes are drawn from.
    """
    answers = np.empty_like(scores)
    for rows in blocks(*scores.shape):
        part = scores[rows]
        single = part.astype(np.float32)
        toward = means[_draw(single, drawn[rows], temperature)]
        entropy = -np.einsum("ij,ij->i", single, np.log(single + TINY)).clip(None, 0)
        moved = radius / 2 * entropy.astype(np.float64)
        answers[rows] = normalised(_pulled(part, single, toward, moved))
    return answers


def _draw(scores: NDArray[np.float32], drawn: NDArray[np.float64], temperature: float) -> Labels:
    """Returns a class for each row, drawn from ``softmax(scores / temperature)``."""
    n, classes = scores.shape
    weights = np.zeros((n, -(-classes // PART) * PART), np.float32)
    inside = weights[:, :classes]
    np.subtract(scores, scores.max(axis=1, keepdims=True), out=inside)
    inside *= np.float32(1 / temperature)
    np.exp(inside, out=inside)
    # First among parts of the classes, then within one: sums of all but one part are not needed.
    parts = weights.reshape(n, -1, PART)
    ends = parts.sum(axis=2).cumsum(axis=1)
    target = drawn * ends[:, -1]
    part = (ends[:, :-1] <= target[:, None]).sum(axis=1)
    rows = np.arange(n)
    target -= np.where(part > 0, ends[rows, part - 1], 0.0)
    place = (parts[rows, part].cumsum(axis=1)[:, :-1] <= target[:, None]).sum(axis=1)
    chosen: Labels = np.minimum(part * PART + place, classes - 1).astype(np.int64)
    return chosen


def _pulled(
    scores: Scores, single: NDArray[np.float32], toward: Scores, moved: NDArray[np.float64]
) -> Scores:
    """Moves at most so much of each row's mass toward other rows, to the least KL divergence.

    Args:
        scores: ``(n, classes)``, rows summing to one.
        single: The same in single precision.
        toward: Positive, ``(n, classes)``, rows summing to one.
        moved: The mass that may move, ``(n,)``: half the L1 distance.
    """
    toward_single = toward.astype(np.float32)
    reaches = np.abs(single - toward_single).sum(axis=1) <= 2 * moved
    # Between levels of one a row becomes the other, and between nothing and all it stays.
    floor, ceiling = reaches.astype(np.float64), np.where(reaches, 1.0, ALL)
    left = np.flatnonzero(~reaches & (moved > 0))
    if len(left):
        floor[left], ceiling[left] = _levels(single[left], toward_single[left], moved[left])
    answers: Scores = floor[:, None] * toward
    np.maximum(answers, scores, out=answers)
    return np.minimum(answers, ceiling[:, None] * toward, out=answers)


def _levels(
    single: NDArray[np.float32], toward: NDArray[np.float32], moved: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the levels that move so much mass when scores are kept between them times ``q``.

    What is moved is convex and piecewise linear in each level, and from a level at which it is too
    much Newton's steps never pass the root. They start where the one class that matters most would
    have to be. Ratios and sums are in single precision, and levels are right to a ten-thousandth.

    Returns:
        Floors at most one and ceilings at least one, ``(n,)`` each.
    """
    room = moved.astype(np.float32)[:, None]
    ratio, alone = single / toward, room / toward
    highest = np.minimum((ratio + alone).min(axis=1), 1)
    lowest = np.maximum((ratio - alone).max(axis=1), 1)
    both = np.stack((single, toward), axis=1)
    chosen, mask = np.empty(single.shape, bool), np.empty((*single.shape, 1), np.float32)
    found = []
    for beyond, more, level in ((np.less, moved, highest), (np.greater, -moved, lowest)):
        for _ in range(NEWTON):
            beyond(ratio, level[:, None], out=chosen)
            np.copyto(mask[:, :, 0], chosen)
            had, wanted = np.matmul(both, mask)[:, :, 0].T
            after = ((had + more) / np.maximum(wanted, np.float32(1e-30))).astype(np.float32)
            # Each row stops by itself, so that no other row in the batch matters to it.
            closer = (wanted > 0) & beyond(after, level)
            closer &= np.abs(after - level) > CLOSE * level
            if not closer.any():
                break
            level = np.where(closer, after, level)
        found.append(level.astype(np.float64))
    return found[0], found[1]


def _require_ball(name: str, radius: float, temperature: float) -> None:
    if not 0 <= radius < np.inf or not 0 < temperature < np.inf:
        raise PlanError(f"defence {name}: radius must be 0 or more and temperature above 0")


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
