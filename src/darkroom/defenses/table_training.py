"""Training defences for models of tables: large leaves, pruning, and differential privacy.

Each makes an untrained scikit-learn estimator, so that it is trained, saved and audited as any
other. diffprivlib, which has such estimators, does not import beside scikit-learn 1.9, so the two
private ones are here, as simple as their proofs allow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from darkroom.defenses.table_estimators import PrivateRidge, PrivateTree
from darkroom.errors import PlanError
from darkroom.named import make_named


class TableTrainingDefense(ABC):
    """Makes an estimator. Subclasses are frozen dataclasses whose fields are their parameters.

    Attributes:
        name: The word used for it.
        paper: Where it comes from.
    """

    name: ClassVar[str]
    paper: ClassVar[str]

    @abstractmethod
    def apply(self, estimator: Any) -> Any:
        """Returns an untrained estimator that stands in the place of another.

        Args:
            estimator: An untrained scikit-learn estimator. Left as it is.

        Raises:
            PlanError: If it is of a kind that the defence cannot change.
        """


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
    """Replaces a linear regression by :class:`~darkroom.defenses.table_estimators.PrivateRidge`.

    Attributes:
        epsilon: For one row, above 0.
        delta: In (0, 1).
        low, high: Bounds of each input, in the order of the model's columns; one pair for all, or
            as many as columns. They must come from knowledge, not from the rows.
        response_low, response_high: Bounds of the response.
        seed: Of the noise; must be secret where the model is released.
    """

    name: ClassVar[str] = "dp-linear"
    paper: ClassVar[str] = "Dwork et al. 2014 (Analyze Gauss); Sheffet 2017"

    epsilon: float = 1.0
    delta: float = 1e-5
    low: Sequence[float] = field(default=(0.0,))
    high: Sequence[float] = field(default=(1.0,))
    response_low: float = 0.0
    response_high: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuses what protects nothing.

        Raises:
            PlanError: If a value is out of its range.
        """
        _check_budget(self.name, self.epsilon, self.delta)
        pairs = zip(self.low, self.high, strict=False)
        if len(self.low) != len(self.high) or any(low >= high for low, high in pairs):
            raise PlanError(f"training defence {self.name}: each low must be below its high")
        if not self.response_low < self.response_high:
            raise PlanError(
                f"training defence {self.name}: response_low must be below response_high"
            )

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
            low=tuple(self.low),
            high=tuple(self.high),
            response_low=self.response_low,
            response_high=self.response_high,
            random_state=self.seed,
        )


@dataclass(frozen=True)
class PrivateForest(TableTrainingDefense):
    """Replaces a tree classifier by :class:`~darkroom.defenses.table_estimators.PrivateTree`.

    Attributes:
        epsilon: For one row, above 0.
        classes: All values of the response; they must come from knowledge, not from the rows.
        depth: Questions on the way to a leaf, 1 or more.
        low, high: Bounds of each input; see :class:`PrivateRegression`.
        seed: Of the noise; must be secret where the model is released.
    """

    name: ClassVar[str] = "dp-tree"
    paper: ClassVar[str] = "Fletcher & Islam 2017; Dwork et al. 2006"

    epsilon: float = 1.0
    classes: Sequence[Any] = field(default=(0, 1))
    depth: int = 5
    low: Sequence[float] = field(default=(0.0,))
    high: Sequence[float] = field(default=(1.0,))
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuses what protects nothing.

        Raises:
            PlanError: If a value is out of its range.
        """
        _check_budget(self.name, self.epsilon, 1e-5)
        if self.depth < 1 or len(self.classes) < 2 or len(self.low) != len(self.high):
            raise PlanError(
                f"training defence {self.name}: give depth 1 or more, two classes, and as many low "
                "as high"
            )

    def apply(self, estimator: Any) -> Any:
        """Replaces a classifier; see :meth:`TableTrainingDefense.apply`."""
        from sklearn.base import is_classifier

        if not is_classifier(estimator):
            raise PlanError(
                f"training defence {self.name} is for classifiers, not {type(estimator).__name__}"
            )
        return PrivateTree(
            epsilon=self.epsilon,
            classes=tuple(self.classes),
            depth=self.depth,
            low=tuple(self.low),
            high=tuple(self.high),
            random_state=self.seed,
        )


TABLE_TRAINING_DEFENSES: dict[str, type[TableTrainingDefense]] = {
    defense.name: defense for defense in (MinimumLeaf, Pruning, PrivateRegression, PrivateForest)
}


def make_table_training_defense(name: str, **parameters: Any) -> TableTrainingDefense:
    """Makes a training defence for tables by name.

    Raises:
        PlanError: If there is no such defence or parameter, or a value is wrong.
    """
    return make_named("training defence", TABLE_TRAINING_DEFENSES, name, parameters)


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


def _check_budget(name: str, epsilon: float, delta: float) -> None:
    if not (epsilon > 0 and 0 < delta < 1):
        raise PlanError(
            f"training defence {name}: epsilon {epsilon:g} and delta {delta:g}: give above 0, and "
            "between 0 and 1"
        )
