"""Training defences for trees and forests: large leaves, and pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from darkroom.errors import PlanError
from darkroom.tables.training.base import TableTraining
from darkroom.tables.training.course import TableCourse


@dataclass(frozen=True)
class MinimumLeaf(TableTraining):
    """Lets no leaf of a tree tell about fewer than so many rows.

    A leaf of one row is that row; Fredrikson et al. 2015 count on such leaves.

    Attributes:
        rows: The fewest in a leaf, 2 or more.
    """

    name: ClassVar[str] = "minimum-leaf"
    paper: ClassVar[str] = "Fredrikson et al. 2015, section 6"

    rows: int = 10

    def __post_init__(self) -> None:
        """Refuses leaves of one row.

        Raises:
            PlanError: If ``rows`` is below 2.
        """
        if self.rows < 2:
            raise PlanError(f"training defence {self.name}: rows must be 2 or more")

    def prepare(self, course: TableCourse) -> TableCourse:
        """Sets ``min_samples_leaf``; see :meth:`TrainingDefense.prepare`."""
        return _set(course, self.name, "min_samples_leaf", self.rows)


@dataclass(frozen=True)
class Pruning(TableTraining):
    """Prunes a tree after it has grown (Breiman et al. 1984, minimal cost-complexity pruning).

    Attributes:
        alpha: What a leaf must lower the impurity by, above 0.
    """

    name: ClassVar[str] = "pruning"
    paper: ClassVar[str] = "Breiman et al. 1984"

    alpha: float = 0.01

    def __post_init__(self) -> None:
        """Refuses to prune nothing.

        Raises:
            PlanError: If ``alpha`` is not positive.
        """
        if not self.alpha > 0:
            raise PlanError(f"training defence {self.name}: alpha must be above 0")

    def prepare(self, course: TableCourse) -> TableCourse:
        """Sets ``ccp_alpha``; see :meth:`TrainingDefense.prepare`."""
        return _set(course, self.name, "ccp_alpha", self.alpha)


def _set(course: TableCourse, owner: str, key: str, value: float) -> TableCourse:
    """Sets a parameter of an estimator, or of every part of a pipeline that has it.

    Raises:
        PlanError: If nothing has it.
    """
    known = course.model.get_params()
    places = [place for place in known if place == key or place.endswith(f"__{key}")]
    if not places:
        raise PlanError(
            f"training defence {owner} is for trees and forests, and "
            f"{type(course.model).__name__} has no {key}"
        )
    course.model.set_params(**dict.fromkeys(places, value))
    return course
