"""All that an attack sees of a table target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.tables.schema import Rows, Schema
from darkroom.tables.targets.base import Linear, Predictions, Scores, TableTarget, Trees


class Paths(NamedTuple):
    """Where rows end in the trees of a model.

    Attributes:
        leaves: ``(n, trees)``.
        predictions: The class or the value, ``(n,)``.
        scores: ``(n, classes)``; ``None`` for a model without.
    """

    leaves: NDArray[np.int64]
    predictions: Predictions
    scores: Scores | None


class TableView:
    """A table target cut down to one access level, with a ledger charged before each answer.

    Attributes:
        access: The most that a query returns, behind the output defences.
        ledger: Counts the rows; a goal is one record's sensitive value.
        defense: The output defences that the attacker knows of: all of them, or none if it is
            naive; whoever has the weights sees through them.
    """

    def __init__(
        self,
        target: TableTarget,
        access: Access,
        ledger: QueryLedger,
        *,
        defense: Pipeline | None = None,
        noise: np.random.Generator | None = None,
        told: bool = True,
    ) -> None:
        """Cuts the target down.

        Args:
            target: The model as its owner reaches it.
            access: What a query shall return; output defences may leave less.
            ledger: Is charged for every row.
            defense: What is changed of confidences, or of the numbers that a regressor predicts,
                before the attacker sees them.
            noise: What the defences draw from.
            told: Whether the attacker knows of the defences; see
                :class:`darkroom.images.targets.view.View`.

        Raises:
            TargetError: If the target cannot give that much, or a defence is not for its kind.
        """
        if not target.access.includes(access):
            raise TargetError(
                f"target {target.name} answers {target.access} at most, but the attack needs "
                f"{access}: choose an attack for {target.access}"
            )
        require_fitting(defense or Pipeline(), target)
        self._target = target
        self._noise = noise or np.random.default_rng(0)
        self._defense = defense or Pipeline()
        self.defense = self._defense if told else Pipeline()
        self.access = access
        if access is not Access.WEIGHTS and access.includes(self.effect.leaves):
            self.access = self.effect.leaves
        self.ledger = ledger

    @property
    def effect(self) -> Effect:
        """What those defences do to what can be learned; nothing to who has the weights."""
        return UNCHANGED if self.access is Access.WEIGHTS else self.defense.effect

    @property
    def schema(self) -> Schema:
        """The tables that the target takes."""
        return self._target.schema

    @property
    def classes(self) -> int | None:
        """How many classes a classifier tells apart; ``None`` for a regressor."""
        return self._target.classes

    @property
    def shows_scores(self) -> bool:
        """Whether the model is a classifier that has confidences to show."""
        return self._target.has_scores

    def predict(self, rows: Rows, goals: NDArray[np.int64]) -> Predictions:
        """Returns the predicted class or value; see :meth:`TableTarget.predict`.

        Args:
            rows: ``(n, columns)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        with self._target.billed(self.ledger.bill(goals)):
            if self.access is Access.WEIGHTS or not self._defense.defenses:
                return self._target.predict(rows)
            if self._target.classes is None:
                answers = self._target.predict(rows)[:, None]
                return self._defense(answers, self._noise, rows)[:, 0]
            return np.asarray(self._defended(rows).argmax(axis=1), dtype=np.float64)

    def scores(self, rows: Rows, goals: NDArray[np.int64]) -> Scores:
        """Returns every class's confidence; see :meth:`TableTarget.scores`.

        Args:
            rows: ``(n, columns)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it, or the target is a regressor.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(Access.SCORES)
        with self._target.billed(self.ledger.bill(goals)):
            if self.access is Access.WEIGHTS:
                return self._target.scores(rows)
            return self._defended(rows)

    def _defended(self, rows: Rows) -> Scores:
        """Returns what leaves the defences; a model without confidences is sure of its class."""
        if self._target.has_scores:
            scores = self._target.scores(rows)
        else:
            places = self._target.predict(rows).astype(np.int64)
            scores = np.eye(self.classes or 0)[places]
        return self._defense(scores, self._noise, rows)

    @property
    def trees(self) -> Trees | None:
        """The structure of a model made of trees; needs access ``weights``."""
        self._require(Access.WEIGHTS)
        return self._target.trees

    @property
    def linear(self) -> Linear | None:
        """The coefficients of a linear model; needs access ``weights``."""
        self._require(Access.WEIGHTS)
        return self._target.linear

    def paths(self, rows: Rows, goals: NDArray[np.int64]) -> Paths:
        """Returns the leaf that each row reaches in each tree, and what the model answers there.

        Following a row down the trees to its answer counts as one query.

        Args:
            rows: ``(n, columns)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it, or there are no trees.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(Access.WEIGHTS)
        self.ledger.charge(goals)
        target = self._target
        scores = target.scores(rows) if target.has_scores else None
        predictions = target.predict(rows) if scores is None else scores.argmax(axis=1) * 1.0
        return Paths(target.leaves(rows), predictions, scores)

    def _require(self, access: Access) -> None:
        if not self.access.includes(access):
            raise TargetError(f"this view allows {self.access}, but the attack asked for {access}")


def require_fitting(defense: Pipeline, target: TableTarget) -> None:
    """Refuses defences that are not for the kind of a target's answers.

    Raises:
        TargetError: If a defence of confidences stands before a regressor, or one of numbers
            before a classifier.
    """
    numbers = target.classes is None
    for one in defense.defenses:
        if one.numbers == numbers:
            continue
        answers, changed, others = (
            ("numbers", "confidences", "value-rounding or value-noise")
            if numbers
            else ("classes", "numbers", "rounding or another defence of confidences")
        )
        raise TargetError(
            f"target {target.name} predicts {answers}, and defence {one.name} changes {changed}: "
            f"use {others}"
        )
