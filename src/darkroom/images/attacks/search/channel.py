"""What a view's answers can tell a score attack, and what it does about what they hide."""

from __future__ import annotations

import math
from dataclasses import dataclass

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED, Curve, Effect
from darkroom.images.targets.view import View

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
        effect: What the defences do that the attacker knows of.
        jitter: By how much of the range near-duplicates differ that are asked in place of
            repeats, since a secret and the input decide what is drawn; 0 where repeats will do.
    """

    classes: int
    named: int
    effect: Effect = UNCHANGED
    jitter: float = 0.0

    @classmethod
    def of(cls, view: View) -> Channel:
        """Reads a view's access level and what its defences do; asks nothing."""
        named = view.k if view.access is Access.TOP_K else view.classes
        jitter, cell = 0.0, view.effect.cell
        if cell is not None:
            jitter = min(FARTHEST_NUDGE, cell / 2 / view.spec.width_of_range) or NUDGE
        return cls(view.classes, min(named, view.classes), view.effect, jitter)

    @property
    def noisy(self) -> bool:
        """Whether the same image, or a near-duplicate, may be answered otherwise each time."""
        return self.effect.deviation > 0 or self.effect.drawn or not self.effect.deterministic

    @property
    def hides(self) -> bool:
        """Whether small scores are not told at all."""
        return self.named < self.classes or self.effect.step > 0

    @property
    def exact(self) -> bool:
        """Whether every score is told, and the same each time."""
        return not (self.hides or self.noisy or self.sticks)

    @property
    def sticks(self) -> bool:
        """Whether near-duplicates mostly share their draws.

        Then they are asked in comparisons alone, since other images have draws of their own and
        tell more.
        """
        return bool(self.effect.cell)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The curves that are undone, the last first; only whole answers can be."""
        return self.effect.curves if self.named == self.classes else ()

    @property
    def share(self) -> float:
        """Of a class's mean answer in each answer, where anything else is in it; 0 without."""
        return self.effect.share if self.effect.share < 1 else 0.0

    @property
    def repeats(self) -> int:
        """How often an image is asked, so that the mean's deviation is at most :data:`AIM`."""
        if self.sticks:
            return 1
        least = DRAWS if self.effect.drawn else 1
        return min(MOST_REPEATS, max(least, math.ceil((self.effect.deviation / AIM) ** 2)))

    @property
    def resolution(self) -> float:
        """The smallest difference of scores that a mean of :attr:`repeats` answers shows."""
        return max(self.effect.step, self.effect.deviation / math.sqrt(self.repeats))

    @property
    def adaptation(self) -> tuple[str, ...]:
        """A sentence for each thing that hides scores, and what is done about it."""
        return (*self._about_what_is_hidden(), *self._about_what_is_bent(), *self._about_draws())

    def _about_what_is_hidden(self) -> list[str]:
        said = []
        if self.named < self.classes:
            said.append(
                f"Answers name {self.named} of {self.classes} classes: a goal that is not named is "
                "taken to lie below the last that is, and the lead of the first over that one is "
                "lowered until the goal appears."
            )
        step, decimals = self.effect.step, self.effect.decimals
        if step:
            to = f"steps of {step:g}" if decimals is None else f"{decimals} decimals"
            said.append(
                f"The scores are rounded to {to}: differences below "
                f"{step:g} count for nothing, steps are wider, and while the goal's score "
                "rounds to zero the lead of the others is lowered."
            )
        return said

    def _about_what_is_bent(self) -> list[str]:
        said = [
            f"The curve of {curve.name} is known, and every answer is turned back along it."
            for curve in self.curves
        ]
        if self.share:
            said.append(
                f"A share {self.share:g} of every answer is the mean answer of the class that it "
                "names: the least score that a class ever had under that name is taken off."
            )
        return said

    def _about_draws(self) -> list[str]:
        said = []
        times = "once" if self.repeats == 1 else f"{self.repeats} times"
        if self.jitter:
            said.append(
                "What is drawn is fixed for an input: near-duplicates that differ by "
                f"{self.jitter:.2g} of the range are asked in place of repeats"
                + (", when candidates are compared." if self.sticks else ".")
            )
        if self.effect.drawn:
            said.append(
                f"Answers are pulled toward a class that is drawn: every image is asked {times}, "
                "and answers are averaged."
            )
        if self.effect.deviation > 0:
            kind = "Noise" if self.jitter else "Fresh noise"
            said.append(
                f"{kind} of deviation {self.effect.deviation:g} is on the scores: every image is "
                f"asked {times}, the noise's bias is taken out, and what remains averages "
                "out over images; the best is chosen on answers asked anew, never on a lucky one."
            )
        if self.effect.silent and not self.effect.deterministic:
            said.append(
                "Answers may be noisy, for all that is known: the best is chosen on answers asked "
                "anew, never on a lucky one."
            )
        return said
