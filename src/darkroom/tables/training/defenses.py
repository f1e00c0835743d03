"""Training defences for models of tables: large leaves, pruning, and differential privacy.

Each makes an untrained scikit-learn estimator, so that it is trained, saved and audited as any
other. diffprivlib, which has such estimators, does not import beside scikit-learn 1.9, so the two
private ones are here, as simple as their proofs allow.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from darkroom.auditing.record import Privacy
from darkroom.errors import PlanError
from darkroom.named import Registry
from darkroom.tables.training.columns import PublicTable, bounds_of, encoder_of, seeded
from darkroom.tables.training.estimators import PrivateRidge, PrivateTree, gaussian_deviation


class TableTrainingDefense(ABC):
    """Makes an estimator. Subclasses are frozen dataclasses whose fields are their parameters.

    Attributes:
        name: The word used for it.
        paper: Where it comes from.
        replaces: Whether an estimator of its own stands in the place of the given one.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    replaces: ClassVar[bool] = False

    def apply_to(self, estimator: Any, public: PublicTable, seed: int) -> Any:
        """Returns an untrained estimator for the rows of a table.

        Args:
            estimator: An untrained scikit-learn estimator that takes the table. Left as it is.
            public: What everybody knows of the table.
            seed: Of noise, and of estimators that draw and have no seed.

        Raises:
            PlanError: If it is of a kind that the defence cannot change.
        """
        del public
        return seeded(self.apply(estimator), seed)

    def privacy(self) -> Privacy | None:
        """Returns what training guarantees, or ``None`` for nothing."""
        return None

    @abstractmethod
    def apply(self, estimator: Any) -> Any:
        """Returns an untrained estimator that stands in the place of another.

        Args:
            estimator: An untrained scikit-learn estimator. Left as it is.

        Raises:
            PlanError: If it is of a kind that the defence cannot change.
        """


@dataclass(frozen=True)
class UndefendedTable(TableTrainingDefense):
    """Changes nothing: the control beside which every defence is measured."""

    name: ClassVar[str] = "none"
    paper: ClassVar[str] = ""

    def apply(self, estimator: Any) -> Any:
        """Returns the same, untrained; see :meth:`TableTrainingDefense.apply`."""
        from sklearn.base import clone

        return clone(estimator)


@dataclass(frozen=True)
class MinimumLeaf(TableTrainingDefense):
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

    def apply(self, estimator: Any) -> Any:
        """Sets ``min_samples_leaf``; see :meth:`TableTrainingDefense.apply`."""
        return _changed(estimator, self.name, min_samples_leaf=self.rows)


@dataclass(frozen=True)
class Pruning(TableTrainingDefense):
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

    def apply(self, estimator: Any) -> Any:
        """Sets ``ccp_alpha``; see :meth:`TableTrainingDefense.apply`."""
        return _changed(estimator, self.name, ccp_alpha=self.alpha)


@dataclass(frozen=True)
class PrivateRegression(TableTrainingDefense):
    """Replaces a linear regression by :class:`~darkroom.tables.training.estimators.PrivateRidge`.

    Attributes:
        epsilon: For one row, above 0.
        delta: In (0, 1).
        low, high: Bounds of each input, in the order of the model's columns; one pair for all, or
            as many as columns. They must come from knowledge, not from the rows. In a plan they are
            those of the numeric columns, and left out they are the ends of the public rows; from
            Python 0 and 1.
        response_low, response_high: Bounds of the response, likewise.
        seed: Of the noise; must be secret where the model is released.
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
        ends = self.response_low, self.response_high
        if None in ends and ends != (None, None):
            raise PlanError(
                f"training defence {self.name}: give both response_low and response_high, or none"
            )
        if not self._response()[0] < self._response()[1]:
            raise PlanError(
                f"training defence {self.name}: response_low must be below response_high"
            )

    def _response(self) -> tuple[float, float]:
        low, high = self.response_low, self.response_high
        return 0.0 if low is None else low, 1.0 if high is None else high

    def apply_to(self, estimator: Any, public: PublicTable, seed: int) -> Any:
        """Puts private regression behind one-hot columns; see the base."""
        if self.response_low is None:
            low, high = float(public.response.min()), float(public.response.max())
            whole = replace(self, response_low=low, response_high=max(high, low + 1e-9))
            return whole.apply_to(estimator, public, seed)
        return _encoded(self, estimator, public, seed)

    def privacy(self) -> Privacy:
        """Returns what the noise on the moments guarantees for one row."""
        noise = gaussian_deviation(self.epsilon, self.delta)
        return _one_shot(self.epsilon, self.delta, noise)

    def apply(self, estimator: Any) -> Any:
        """Replaces a linear regression; see :meth:`TableTrainingDefense.apply`."""
        from sklearn.base import is_regressor

        if not is_regressor(estimator):
            raise PlanError(
                f"training defence {self.name} is for regressors, not {type(estimator).__name__}"
            )
        return PrivateRidge(
            epsilon=self.epsilon,
            delta=self.delta,
            low=tuple(self.low or (0.0,)),
            high=tuple(self.high or (1.0,)),
            response_low=self._response()[0],
            response_high=self._response()[1],
            random_state=self.seed,
        )


@dataclass(frozen=True)
class PrivateForest(TableTrainingDefense):
    """Replaces a tree classifier by :class:`~darkroom.tables.training.estimators.PrivateTree`.

    Attributes:
        epsilon: For one row, above 0.
        classes: All values of the response; they must come from knowledge, not from the rows. In a
            plan they are those of the response's column, and left out from Python 0 and 1.
        depth: Questions on the way to a leaf, 1 or more.
        low, high: Bounds of each input; see :class:`PrivateRegression`.
        seed: Of the noise; must be secret where the model is released.
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

    def apply_to(self, estimator: Any, public: PublicTable, seed: int) -> Any:
        """Puts a private tree behind one-hot columns; see the base."""
        whole = replace(self, classes=self.classes or public.classes or None)
        return _encoded(whole, estimator, public, seed)

    def privacy(self) -> Privacy:
        """Returns what the noisy counts guarantee for one row."""
        # Laplace noise of scale 1 / epsilon has a deviation of root 2 over epsilon.
        return _one_shot(self.epsilon, 0.0, math.sqrt(2) / self.epsilon)

    def apply(self, estimator: Any) -> Any:
        """Replaces a classifier; see :meth:`TableTrainingDefense.apply`."""
        from sklearn.base import is_classifier

        if not is_classifier(estimator):
            raise PlanError(
                f"training defence {self.name} is for classifiers, not {type(estimator).__name__}"
            )
        return PrivateTree(
            epsilon=self.epsilon,
            classes=tuple(self.classes or (0, 1)),
            depth=self.depth,
            low=tuple(self.low or (0.0,)),
            high=tuple(self.high or (1.0,)),
            random_state=self.seed,
        )


TABLE_TRAINING_DEFENSES: Registry[TableTrainingDefense] = Registry(
    "training defence",
    TableTrainingDefense,
    UndefendedTable,
    MinimumLeaf,
    Pruning,
    PrivateRegression,
    PrivateForest,
    group="darkroom.training_defenses",
)


def _changed(estimator: Any, name: str, **parameters: Any) -> Any:
    from sklearn.base import clone

    known = estimator.get_params()
    for key in parameters:
        places = [place for place in known if place == key or place.endswith(f"__{key}")]
        if not places:
            raise PlanError(
                f"training defence {name} is for trees and forests, and "
                f"{type(estimator).__name__} has no {key}"
            )
    return clone(estimator).set_params(
        **{
            place: value
            for key, value in parameters.items()
            for place in known
            if place == key or place.endswith(f"__{key}")
        }
    )


def _encoded(
    defense: PrivateRegression | PrivateForest, estimator: Any, public: PublicTable, seed: int
) -> Any:
    """Puts a private estimator behind columns that are made without looking at private rows.

    The given estimator's own preparation is left out: what it would learn of private rows, such as
    their mean, no epsilon covers.
    """
    from sklearn.pipeline import make_pipeline

    low, high = bounds_of(defense.name, public, defense.low, defense.high)
    seed = seed if defense.seed is None else defense.seed
    bounded = replace(defense, low=low, high=high, seed=seed)
    return make_pipeline(encoder_of(public), bounded.apply(estimator))


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
