"""What every attack is: an anytime search over all goals at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior


class Progress(NamedTuple):
    """The best that an attack has after some queries.

    Attributes:
        queries: Rows charged to each goal so far, int64 ``(goals,)``.
        reconstructions: The best image of each goal, float32 ``(goals, channels, height, width)``
            in the target's range.
        confidence: The target's confidence in each of them, float64 ``(goals,)``.
    """

    queries: NDArray[np.int64]
    reconstructions: NDArray[np.float32]
    confidence: NDArray[np.float64]


class Attack(ABC):
    """A search for images that show what the target has learned about each goal.

    Subclasses write ``_search`` alone; :meth:`run` checks what they are given.

    Attributes:
        name: The word used in plans.
        access: The access that the attack is run with unless told otherwise.
        least_access: The least with which it still works; ``access`` unless the class says less.
        paper: The source, in one line.
        confidence: The target's confidence at which a goal counts as reached.
    """

    name: ClassVar[str]
    access: ClassVar[Access]
    least_access: ClassVar[Access]
    paper: ClassVar[str] = ""
    confidence: float = 0.999

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Lets an attack that names no lesser access need all that it is run with."""
        super().__init_subclass__(**kwargs)
        if "access" in vars(cls) and "least_access" not in vars(cls):
            cls.least_access = cls.access

    @abstractmethod
    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""

    def apart(self, view: View) -> bool:  # noqa: ARG002 - for those that choose
        """Tells whether each goal's search is the same whoever is attacked beside it.

        If so, many goals can be attacked in blocks, by several processes.

        Args:
            view: The target as the attacker sees it; nothing is asked of it.
        """
        return False

    def adaptation(self, view: View) -> tuple[str, ...]:  # noqa: ARG002 - for those that adapt
        """Says, in sentences, what the attack does about what the view withholds.

        Args:
            view: The target as the attacker sees it; nothing is asked of it.

        Returns:
            A sentence for each thing that is otherwise than against all scores undefended.
        """
        return ()

    @final
    def run(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], *, rng: np.random.Generator
    ) -> Iterator[Progress]:
        """Attacks all goals together and yields the best so far at query milestones.

        Args:
            view: The target as the attacker sees it. Its ledger counts goals by their position in
                ``goals``.
            prior: What the attacker knows beforehand.
            goals: The classes to reconstruct, int64 ``(goals,)``.
            rng: The only source of randomness: the same seed gives the same answers.

        Yields:
            Progress, with queries that never fall. The last is the answer.

        Raises:
            PlanError: If the view allows too little, the prior makes other images than the target
                takes, or a goal is no class of the target.
        """
        if not view.access.includes(self.least_access):
            raise PlanError(
                f"attack {self.name} needs {self.least_access} but the view allows {view.access}: "
                "choose another attack or access"
            )
        if prior.spec != view.spec:
            raise PlanError(
                f"prior {prior.name} makes images of {prior.spec}, but the target takes "
                f"{view.spec}: fit the prior on photos of the target's shape and range"
            )
        if len(goals) == 0 or goals.min() < 0 or goals.max() >= view.classes:
            raise PlanError(
                f"goals must be classes 0 to {view.classes - 1} of the target, at least one; got "
                f"{goals.tolist()[:5]}"
            )
        return self._search(view, prior, goals, rng)

    @abstractmethod
    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        """Does the work of :meth:`run`, whose contract holds."""


def milestones(steps: int) -> list[int]:
    """Returns the steps at which the best is looked for: 0, 1, 2, 3, 4, 6, 8, 11, 16, ... .

    >>> milestones(12)
    [0, 1, 2, 3, 4, 6, 8, 11]
    """
    marks = [0]
    while (following := max(marks[-1] + 1, round(marks[-1] * 1.41))) < steps:
        marks.append(following)
    return marks
