"""What a score attack makes of answers: one objective, whatever the view leaves of the scores.

The attacker knows the output defences (Kerckhoffs), so it reads answers for what they can still
tell: differences below a rounding step or below the noise are not taken for differences, fresh
noise is averaged away, noise that sticks to an input is averaged over near-duplicates of it, curves
are undone, and where only the largest scores are named, the others are bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.purifier import Purify
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import Sticky, StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.images.attacks.search.denoising import without_bias
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger

Rows = NDArray[np.float64]

EXACT = 1e-300
"""What is added to a score before its logarithm where nothing hides small scores."""

AIM = 0.05
"""The standard deviation to which repeats bring fresh noise down.

No further, because a search learns more from another image than from the same one again."""

MOST_REPEATS = 64

DRAWS = 4
"""How often an image is asked where each answer is pulled toward a class that is drawn."""

NUDGE = 1e-3
"""By how much of the range near-duplicates differ where exact bytes decide the noise."""

FARTHEST_NUDGE = 0.03
"""By how much of the range they differ at most: beyond it, the model sees another image (``python
-m benchmarks defenses`` has what averages of them are off by)."""


@dataclass(frozen=True)
class Channel:
    """What a view's answers can tell.

    Attributes:
        classes: How many classes there are.
        named: How many of them an answer names.
        step: The rounding step of a score; 0 when not rounded.
        decimals: The digits that are left, or ``None`` when not rounded.
        deviation: The standard deviation of fresh noise on a score; 0 without.
        laplace: Whether that noise is Laplace's instead of Gaussian.
        jitter: By how much of the range near-duplicates differ that are asked in place of
            repeats, since a secret and the input decide what is drawn; 0 where repeats will do.
        sticks: Whether near-duplicates mostly share their draws: then they are asked in comparisons
            alone, since other images have draws of their own and tell more.
        drawn: Whether answers are pulled toward a class that is drawn.
        undone: Curves that are undone, the last first.
        share: Of a class's mean answer in each answer; 0 without.
    """

    classes: int
    named: int
    step: float = 0.0
    decimals: int | None = None
    deviation: float = 0.0
    laplace: bool = False
    jitter: float = 0.0
    sticks: bool = False
    drawn: bool = False
    undone: tuple[Temperature | ReverseSigmoid, ...] = ()
    share: float = 0.0

    @classmethod
    def of(cls, view: View) -> Channel:
        """Reads a view's access level and the defences that it names; asks nothing."""
        named = view.k if view.access is Access.TOP_K else view.classes
        defenses = () if view.access is Access.WEIGHTS else view.defense.defenses
        rounding = max(
            (d for d in defenses if isinstance(d, Rounding)),
            key=lambda one: one.width,
            default=None,
        )
        noises = [d for d in defenses if isinstance(d, Noise | StickyNoise) and d.deviation > 0]
        last = defenses[-1] if defenses else None
        return cls(
            view.classes,
            min(named, view.classes),
            0.0 if rounding is None else rounding.width,
            None if rounding is None or rounding.step is not None else rounding.decimals,
            math.sqrt(sum(noise.deviation**2 for noise in noises)),
            any(noise.kind == "laplace" for noise in noises),
            max((_nudge(d, view) for d in defenses if isinstance(d, Sticky)), default=0.0),
            any(isinstance(d, Sticky) and not d.exact for d in defenses),
            any(isinstance(d, StealthyShield | KeyedStealthyShield) for d in defenses),
            _bends(defenses) if named == view.classes else (),
            last.share if isinstance(last, Purify) and last.share < 1 else 0.0,
        )

    @property
    def noisy(self) -> bool:
        """Whether the same image, or a near-duplicate of it, is answered otherwise each time."""
        return self.deviation > 0 or self.drawn

    @property
    def hides(self) -> bool:
        """Whether small scores are not told at all."""
        return self.named < self.classes or self.step > 0

    @property
    def repeats(self) -> int:
        """How often an image is asked, so that the mean's deviation is at most :data:`AIM`."""
        if self.sticks:
            return 1
        least = DRAWS if self.drawn else 1
        return min(MOST_REPEATS, max(least, math.ceil((self.deviation / AIM) ** 2)))

    @property
    def resolution(self) -> float:
        """The smallest difference of scores that a mean of :attr:`repeats` answers shows."""
        return max(self.step, self.deviation / math.sqrt(self.repeats))

    @property
    def adaptation(self) -> tuple[str, ...]:
        """A sentence for each thing that hides scores, and what is done about it."""
        said = []
        if self.named < self.classes:
            said.append(
                f"Answers name {self.named} of {self.classes} classes: a goal that is not named is "
                "taken to lie below the last that is, and the lead of the first over that one is "
                "lowered until the goal appears."
            )
        if self.step:
            to = f"steps of {self.step:g}"
            if self.decimals is not None:
                to = f"{self.decimals} decimals"
            said.append(
                f"The scores are rounded to {to}: differences below "
                f"{self.step:g} count for nothing, steps are wider, and while the goal's score "
                "rounds to zero the lead of the others is lowered."
            )
        said += [
            f"The curve of {bend.name} is known, and every answer is turned back along it."
            for bend in self.undone
        ]
        if self.share:
            said.append(
                f"A share {self.share:g} of every answer is the mean answer of the class that it "
                "names: the least score that a class ever had under that name is taken off."
            )
        if self.jitter:
            said.append(
                "What is drawn is fixed for an input: near-duplicates that differ by "
                f"{self.jitter:.2g} of the range are asked in place of repeats"
                + (", when candidates are compared." if self.sticks else ".")
            )
        if self.drawn:
            said.append(
                f"Answers are pulled toward a class that is drawn: every image is asked "
                f"{_times(self.repeats)}, and answers are averaged."
            )
        if self.deviation > 0:
            kind = "Noise" if self.jitter else "Fresh noise"
            said.append(
                f"{kind} of deviation {self.deviation:g} is on the scores: every image is asked "
                f"{_times(self.repeats)}, the noise's bias is taken out, and what remains averages "
                "out over images; the best is chosen on answers asked anew, never on a lucky one."
            )
        return tuple(said)


def _nudge(defense: Sticky, view: View) -> float:
    """Returns how near-duplicates must differ to get draws of their own, as part of the range."""
    if defense.exact:
        return NUDGE
    return min(FARTHEST_NUDGE, defense.cell / 2 / view.spec.width_of_range)


def _bends(defenses: tuple[OutputDefense, ...]) -> tuple[Temperature | ReverseSigmoid, ...]:
    """Returns the curves that nothing comes after, the last first."""
    found: list[Temperature | ReverseSigmoid] = []
    for defense in reversed(defenses):
        if not isinstance(defense, Temperature | ReverseSigmoid):
            break
        found.append(defense)
    return tuple(found)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


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
            for bend in self.channel.undone:
                scores = bend.undone(scores)
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
        channel = self.channel
        if channel.deviation > 0 and channel.named == channel.classes:
            scores = without_bias(
                scores, channel.deviation, laplace=channel.laplace, repeats=repeats
            )
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
        left.append(ledger.limit.per_goal - int(ledger.spent[positions].max()))
    if ledger.limit.total is not None:
        left.append((ledger.limit.total - ledger.total) // len(positions))
    return min(left) if left else None
