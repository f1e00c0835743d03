"""Stealthy Shield Defense: answers pulled toward the mean of a class that is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkroom.defenses.base import Labels, Scores, blocks, normalised
from darkroom.defenses.effects import Effect
from darkroom.defenses.purifier import Centred
from darkroom.defenses.sticky_noise import Sticky, uniforms
from darkroom.errors import PlanError

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
    cost: ClassVar[str] = "about ten sums over the scores a row that is uncertain"

    radius: float = 0.5
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Refuses what is no ball and no temperature.

        Raises:
            PlanError: If ``radius`` is negative or ``temperature`` is not above 0.
        """
        _require_ball(self.name, self.radius, self.temperature)

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(deterministic=False, changes_label=True, drawn=True)

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

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(changes_label=True, drawn=True, cell=self.sticking_cell)

    def __call__(
        self, scores: Scores, rng: np.random.Generator, inputs: ArrayLike | None = None
    ) -> Scores:
        """Draws and pulls; see :meth:`darkroom.defenses.sticky_noise.Sticky.__call__`."""
        return Sticky.__call__(self, scores, rng, inputs)

    def answer(self, scores: Scores, seeds: list[bytes]) -> Scores:
        """Pulls each row toward the class that its seed draws."""
        means = self._means(scores.shape[1])
        return shielded(scores, uniforms(seeds), means, self.radius, self.temperature)


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
