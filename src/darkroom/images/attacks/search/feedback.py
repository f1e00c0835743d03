"""What a score attack makes of answers: one objective, whatever the view leaves of the scores.

The attacker knows the output defences (Kerckhoffs), so it reads answers for what they can still
tell: differences below a rounding step or below the noise are not taken for differences, fresh
noise is averaged away, noise that sticks to an input is averaged over near-duplicates of it, curves
are undone, and where only the largest scores are named, the others are bounded.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.attacks.search.channel import Channel
from darkroom.images.attacks.search.denoising import without_bias
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger

Rows = NDArray[np.float64]

EXACT = 1e-300
"""What is added to a score before its logarithm where nothing hides small scores."""


class Answers(NamedTuple):
    """What came back for some images, read for the goal of each.

    Attributes:
        goal: The logarithm of the goal's score, ``(n,)``; a guess below its bound where it is not
            named.
        other: The logarithm of the largest score of another class, ``(n,)``.
        confidence: The goal's score, ``(n,)``; NaN where it is not named.
        logs: The logarithms of all scores, ``(n, classes)``, with guesses as in ``goal``.
    """

    goal: Rows
    other: Rows
    confidence: Rows
    logs: Rows

    @property
    def objective(self) -> Rows:
        """The lead of the best other class on the log-scores, ``(n,)``; lower is better."""
        return self.other - self.goal


class Feedback:
    """Asks a view about images and reads the answers for their goals.

    Attributes:
        channel: What the answers can tell.
    """

    def __init__(
        self, view: View, goals: NDArray[np.int64], rng: np.random.Generator | None = None
    ) -> None:
        """Asks nothing yet.

        Args:
            view: The target as the attacker sees it; at least the top classes' scores.
            goals: The class of each goal, by its position in the ledger, ``(goals,)``.
            rng: Where near-duplicates come from, if the channel asks for them.
        """
        self.channel = Channel.of(view)
        self._view = view
        self._goals = goals
        self._rng = rng or np.random.default_rng(0)
        # By the class that an answer names, the least score that each class ever had.
        self._least: dict[int, Rows] = {}

    def cost(self, repeats: int | None = None) -> int:
        """Returns the rows that one image costs; see :meth:`ask`."""
        return self.channel.repeats if repeats is None else repeats

    def ask(
        self,
        images: NDArray[np.float32],
        positions: NDArray[np.int64],
        *,
        repeats: int | None = None,
    ) -> Answers:
        """Asks about each image as often as its answers are noisy.

        Args:
            images: ``(n, channels, height, width)`` in the target's range.
            positions: The position of the goal that each serves, ``(n,)``.
            repeats: How often each is asked; the channel's own number when left out. Every repeat
                is charged.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        times = self.cost(repeats)
        if times > 1:
            images, asked = self._copies(images, times), np.repeat(positions, times)
        else:
            asked = positions
        scores, last = self._scores(images, asked)
        if times > 1:
            scores = scores.reshape(-1, times, scores.shape[1]).mean(axis=1)
            last = last.reshape(-1, times).mean(axis=1)
        return self._read(scores, last, self._goals[positions], times)

    def _copies(self, images: NDArray[np.float32], times: int) -> NDArray[np.float32]:
        """Returns each image several times, or near-duplicates of it; the first is the image."""
        copies = np.repeat(images, times, axis=0)
        if self.channel.jitter:
            spec = self._view.spec
            moved = self._rng.standard_normal(copies.shape, dtype=np.float32)
            moved *= self.channel.jitter * spec.width_of_range
            moved[::times] = 0
            copies = (copies + moved).clip(spec.low, spec.high).astype(np.float32, copy=False)
        return copies

    def _scores(
        self, images: NDArray[np.float32], positions: NDArray[np.int64]
    ) -> tuple[Rows, Rows]:
        """Returns scores, zero for classes not named, and a bound of those, ``(n,)``."""
        if self.channel.named == self.channel.classes and self._view.access is not Access.TOP_K:
            scores = self._view.scores(images, positions)
            for curve in self.channel.curves:
                scores = curve.undone(scores)
            if self.channel.share:
                scores = self._without_means(scores)
            return scores, np.zeros(len(scores))
        top = self._view.top_k(images, positions)
        scores = np.zeros((len(images), self.channel.classes))
        np.put_along_axis(scores, top.classes, top.scores, axis=1)
        rest = (1 - top.scores.sum(axis=1)).clip(0, None)
        return scores, np.minimum(top.scores[:, -1], rest)

    def _without_means(self, scores: Rows) -> Rows:
        """Takes off what the mean answer of the class named adds, as far as answers have told.

        A class's mean answer adds the same to every answer that names it, and no answer is below
        that: the least so far is the best bound of it.
        """
        names = scores.argmax(axis=1)
        bare = np.empty_like(scores)
        for name in np.unique(names).tolist():
            rows = names == name
            least = scores[rows].min(axis=0)
            self._least[name] = np.minimum(self._least.get(name, least), least)
            floor = self._least[name].copy()
            # Its own class's is never near zero: what the others leave is its own.
            floor[name] = max(0.0, self.channel.share - (floor.sum() - floor[name]))
            bare[rows] = (scores[rows] - floor).clip(0, None)
        bare /= np.maximum(bare.sum(axis=1, keepdims=True), EXACT)
        return bare

    def _read(self, scores: Rows, last: Rows, goals: NDArray[np.int64], repeats: int) -> Answers:
        """Turns mean scores into answers."""
        channel, effect = self.channel, self.channel.effect
        if effect.deviation > 0 and channel.named == channel.classes:
            scores = without_bias(scores, effect.deviation, laplace=effect.laplace, repeats=repeats)
        floor = max(EXACT, channel.resolution / 2)
        logs: Rows = np.log(scores + floor)
        rows = np.arange(len(scores))
        confidence = scores[rows, goals]
        if channel.named < channel.classes:
            # Somewhere below the last one named: an even guess among the classes that are not.
            below = np.log(last + floor) - math.log(channel.classes)
            logs = np.where(scores > 0, logs, below[:, None])
            confidence = np.where(confidence > 0, confidence, np.nan)
        goal = logs[rows, goals]
        others = logs.copy()
        others[rows, goals] = -np.inf
        return Answers(goal, others.max(axis=1), confidence, logs)


def affordable(ledger: QueryLedger, positions: NDArray[np.int64]) -> int | None:
    """Returns the rows that each of these goals can still be charged, all of them alike.

    Args:
        ledger: What counts the rows.
        positions: The goals that go on, each once; at least one.

    Returns:
        The rows a goal, or ``None`` without a limit.
    """
    left = []
    if ledger.limit.per_goal is not None:
        left.append(ledger.limit.per_goal - int(ledger.alone[positions].max()))
    if ledger.limit.total is not None:
        left.append((ledger.limit.total - ledger.total) // len(positions))
    return min(left) if left else None
