"""What ranks among strangers say in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from darkroom.auditing.record import SIGNIFICANCE
from darkroom.vision.record import WorstPerson

PEOPLE_TO_STAND_OUT = 20
"""People and strangers, of whom one is the most alike by luck with a chance of 0.05."""

FEWEST_TO_DEAL = 4
"""People who can be dealt out in more than 20 ways."""


class RankedPerson(Protocol):
    """A person with a rank among strangers."""

    @property
    def goal(self) -> int:
        """The person's number."""

    @property
    def name(self) -> str:
        """What the person is called."""

    @property
    def confidence(self) -> float | None:
        """How sure the model is of what was found, where that is known."""

    @property
    def rank(self) -> int:
        """Among the strangers, from 1."""

    @property
    def p_value(self) -> float:
        """The chance of ranking so high for one who is like any stranger."""

    @property
    def p_adjusted(self) -> float:
        """The same for anybody, where nothing is known of anyone."""


def worst_off(
    people: Sequence[RankedPerson], strangers: int, alone: Sequence[float], by_heart: float
) -> WorstPerson:
    """Returns the person of whom the reconstruction says most, corrected for having looked.

    Args:
        people: All that were looked at.
        strangers: How many took part in nothing.
        alone: The adjusted p-value that each would have who alone was known by heart.
        by_heart: How often the judges recognise what is known by heart.
    """
    worst = min(people, key=lambda one: (one.p_adjusted, one.rank, -(one.confidence or 0.0)))
    among = (
        f"none of {strangers:,} strangers is"
        if worst.rank == 1
        else (f"{worst.rank - 1:,} of {strangers:,} strangers are")
    )
    sentence = (
        f"{worst.name} is worst off: {among} as much like the reconstruction as this person "
        f"(p = {worst.p_value:.2g}). If nothing were known of anyone, one of {len(people)} people "
        f"would stand out so far with a chance of {worst.p_adjusted:.2g}."
    )
    needed = PEOPLE_TO_STAND_OUT - len(people)
    if strangers < needed:
        sentence += f" For one person to stand out takes {needed} strangers or more."
    return WorstPerson(
        name=worst.name,
        rank=worst.rank,
        p_value=worst.p_value,
        p_adjusted=worst.p_adjusted,
        sentence=sentence,
        goal=worst.goal,
        alone=tuple(alone),
        by_heart=by_heart,
    )


def ranked_together(goals: int, strangers: int, p_value: float) -> str:
    """Says what ranks say of all people together.

    Args:
        goals: How many people were attacked.
        strangers: How many took part in nothing.
        p_value: Of the reconstructions, dealt out among the people by lot.
    """
    fits = "fit" if p_value < SIGNIFICANCE else "do not surely fit"
    sentence = (
        f"Together the reconstructions {fits} the right people better than each other (p = "
        f"{p_value:.2g} of being dealt out among {goals} people by lot)."
    )
    if goals < FEWEST_TO_DEAL:
        sentence += f" Fewer than {FEWEST_TO_DEAL} people cannot show it."
    if not strangers:
        sentence += (
            " Nobody could be held apart to rank people among: name photos of others in [judges] "
            "strangers, or give more public people."
        )
    return sentence
