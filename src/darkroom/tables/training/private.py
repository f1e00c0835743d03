"""Differentially private training of models of tables.

diffprivlib, which has such estimators, does not import beside scikit-learn 1.9, so the two here are
our own, as simple as their proofs allow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from darkroom.auditing.record import Privacy
from darkroom.errors import PlanError
from darkroom.tables.training.base import TableTraining
from darkroom.tables.training.columns import Bounds, bounds_of, encoder_of
from darkroom.tables.training.course import TableCourse
from darkroom.tables.training.estimators import PrivateRidge, PrivateTree, gaussian_deviation


@dataclass(frozen=True)
class PrivateRegression(TableTraining):
    """Replaces a linear regression by :class:`~darkroom.tables.training.estimators.PrivateRidge`.

    Attributes:
        epsilon: For one row, above 0.
        delta: In (0, 1).
        low, high: Bounds of each numeric input, in the order of the table's columns; one pair for
            all, or as many as columns. They must come from knowledge, not from the rows. Left out,
            they are the ends of the public rows, or 0 and 1 without any.
        response_low, response_high: Bounds of the response, likewise.
        seed: Of the noise, the course's when left out; must be secret where the model is released.
    """

    name: ClassVar[str] = "dp-linear"
    replaces: ClassVar[bool] = True
    paper: ClassVar[str] = "Dwork et al. 2014 (Analyze Gauss); Sheffet 2017"

    epsilon: float = 1.0
    delta: float = 1e-5
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    response_low: float | None = None
    response_high: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuses what protects nothing.

        Raises:
            PlanError: If a value is out of its range.
        """
        _check_budget(self.name, self.epsilon, self.delta)
        _check_bounds(self.name, self.low, self.high)
        low, high = self.response_low, self.response_high
        if (low is None) != (high is None):
            raise PlanError(
                f"training defence {self.name}: give both response_low and response_high, or none"
            )
        if low is not None and high is not None and low >= high:
            raise PlanError(
                f"training defence {self.name}: response_low must be below response_high"
            )

    def prepare(self, course: TableCourse) -> TableCourse:
        """Puts private regression behind one-hot columns; see :meth:`TrainingDefense.prepare`."""
        from sklearn.base import is_regressor

        if not is_regressor(course.model):
            raise PlanError(
                f"training defence {self.name} is for regressors, not {type(course.model).__name__}"
            )
        low, high = _bounds(self, course)
        response_low, response_high = self._response(course)
        private = PrivateRidge(
            epsilon=self.epsilon,
            delta=self.delta,
            low=low,
            high=high,
            response_low=response_low,
            response_high=response_high,
            random_state=course.seed if self.seed is None else self.seed,
        )
        return _replaced(course, private)

    def _response(self, course: TableCourse) -> tuple[float, float]:
        """Returns the bounds of the response."""
        if self.response_low is not None and self.response_high is not None:
            return self.response_low, self.response_high
        if course.public is None:
            return 0.0, 1.0
        low, high = float(course.public.response.min()), float(course.public.response.max())
        return low, max(high, low + 1e-9)

    def _fit(self, course: TableCourse) -> Privacy:
        """Fits, with noise on the moments."""
        super()._fit(course)
        noise = gaussian_deviation(self.epsilon, self.delta)
        return _one_shot(self.epsilon, self.delta, noise)


@dataclass(frozen=True)
class PrivateForest(TableTraining):
    """Replaces a tree classifier by :class:`~darkroom.tables.training.estimators.PrivateTree`.

    Attributes:
        epsilon: For one row, above 0.
        classes: All values of the response; they must come from knowledge, not from the rows. Left
            out, they are those of the public table, or 0 and 1 without one.
        depth: Questions on the way to a leaf, 1 or more.
        low, high: Bounds of each input; see :class:`PrivateRegression`.
        seed: Of the noise, the course's when left out; must be secret where the model is released.
    """

    name: ClassVar[str] = "dp-tree"
    replaces: ClassVar[bool] = True
    paper: ClassVar[str] = "Fletcher & Islam 2017; Dwork et al. 2006"

    epsilon: float = 1.0
    classes: Sequence[Any] | None = None
    depth: int = 5
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuses what protects nothing.

        Raises:
            PlanError: If a value is out of its range.
        """
        _check_budget(self.name, self.epsilon, 1e-5)
        _check_bounds(self.name, self.low, self.high)
        if self.depth < 1 or len(self.classes or (0, 1)) < 2:
            raise PlanError(f"training defence {self.name}: give depth 1 or more and two classes")

    def prepare(self, course: TableCourse) -> TableCourse:
        """Puts a private tree behind one-hot columns; see :meth:`TrainingDefense.prepare`."""
        from sklearn.base import is_classifier

        if not is_classifier(course.model):
            raise PlanError(
                f"training defence {self.name} is for classifiers, not "
                f"{type(course.model).__name__}"
            )
        low, high = _bounds(self, course)
        known = () if course.public is None else course.public.classes
        private = PrivateTree(
            epsilon=self.epsilon,
            classes=tuple(self.classes or known or (0, 1)),
            depth=self.depth,
            low=low,
            high=high,
            random_state=course.seed if self.seed is None else self.seed,
        )
        return _replaced(course, private)

    def _fit(self, course: TableCourse) -> Privacy:
        """Fits, with noise on the counts."""
        super()._fit(course)
        # Laplace noise of scale 1 / epsilon has a deviation of root 2 over epsilon.
        return _one_shot(self.epsilon, 0.0, math.sqrt(2) / self.epsilon)


def _bounds(defense: PrivateRegression | PrivateForest, course: TableCourse) -> Bounds:
    """Returns the bounds of what the private estimator takes."""
    if course.public is None:
        return Bounds(tuple(defense.low or (0.0,)), tuple(defense.high or (1.0,)))
    bounds = bounds_of(defense.name, course.public, defense.low, defense.high)
    _check_bounds(defense.name, bounds.low, bounds.high)
    return bounds


def _replaced(course: TableCourse, private: Any) -> TableCourse:
    """Puts a private estimator behind columns that are made without looking at private rows.

    The given estimator's own preparation is left out: what it would learn of private rows, such as
    their mean, no epsilon covers.
    """
    from sklearn.pipeline import make_pipeline

    if course.public is not None:
        private = make_pipeline(encoder_of(course.public), private)
    return replace(course, model=private)


def _check_bounds(name: str, low: Sequence[float] | None, high: Sequence[float] | None) -> None:
    if (low is None) != (high is None):
        raise PlanError(f"training defence {name}: give both low and high, or none")
    if low is None or high is None:
        return
    if len(low) != len(high) or any(a >= b for a, b in zip(low, high, strict=True)):
        raise PlanError(f"training defence {name}: each low must be below its high")


def _check_budget(name: str, epsilon: float, delta: float) -> None:
    if not (epsilon > 0 and 0 < delta < 1):
        raise PlanError(
            f"training defence {name}: epsilon {epsilon:g} and delta {delta:g}: give above 0, and "
            "between 0 and 1"
        )


def _one_shot(epsilon: float, delta: float, noise: float) -> Privacy:
    """Returns what noise that is added once, with every row in it, guarantees for one row."""
    return Privacy(
        unit="row", epsilon=epsilon, delta=delta, noise_multiplier=noise, sample_rate=1.0, steps=1
    )
