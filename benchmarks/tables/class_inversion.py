"""Inverting a class of a bag-of-words classifier to its typical words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.tables.targets.view import TableView

LEAST = 1e-12


class TypicalWords(NamedTuple):
    """What a class of a bag-of-words model looks like.

    Attributes:
        order: The places of the columns, most typical first, int64 ``(columns,)``.
        gain: How much each column alone adds to the class's log-odds, float64 ``(columns,)``.
        document: The most typical columns set to one, the others zero, ``(columns,)``.
        confidence: The model's confidence in the class for that document; NaN where only weights
            were read.
    """

    order: NDArray[np.int64]
    gain: NDArray[np.float64]
    document: NDArray[np.float64]
    confidence: float


@dataclass(frozen=True)
class ClassInversion:
    """Reconstructs the average document of a class, which is what a spam filter gives away.

    With scores, the model is asked about the empty document and about each word alone; a word's
    gain is the difference of the class's log-odds. With the weights of a linear model the gain is
    the word's coefficient, and nothing is asked. This is Fredrikson et al. 2015's class inversion
    (CCS, section 5) for a model whose class has no face: the class is a kind of message, written by
    many, and what is typical of it is nobody's. What one person wrote is not in the typical
    document, but it is among the gains: a word that no training message had adds nothing, so
    whoever asks for a name learns whether it was there. The paper does not treat text;
    coordinate-wise gains replace its gradient descent, and are exact for models that add up words.

    Attributes:
        words: Words of the typical document.
    """

    name: ClassVar[str] = "class-inversion"
    paper: ClassVar[str] = "after Fredrikson, Jha & Ristenpart 2015 (CCS)"

    words: int = 20

    def run(self, view: TableView, goal: int) -> TypicalWords:
        """Inverts one class.

        Args:
            view: A classifier of counts of words, one numeric column a word. Its ledger counts
                one goal.
            goal: The class, as its place in the schema's response.

        Raises:
            PlanError: If the model is a regressor, the class is none of it, or the access too low.
            BudgetExhausted: If the budget is less than one row a word and one.
        """
        if view.classes is None or not 0 <= goal < view.classes:
            raise PlanError(
                f"attack {self.name}: goal {goal} is no class of the model: give 0 to "
                f"{(view.classes or 0) - 1}"
            )
        if any(column.kind != "numeric" for column in view.schema.columns):
            raise PlanError(f"attack {self.name}: every column must be a count of a word")
        gain = self._coefficients(view, goal)
        asked = gain is None
        if gain is None:
            gain = self._asked(view, goal)
        order = np.argsort(-gain, kind="stable").astype(np.int64)
        document = np.zeros(len(gain))
        document[order[: self.words]] = 1
        confidence = np.nan
        if asked:
            confidence = float(view.scores(document[None], np.zeros(1, np.int64))[0, goal])
        return TypicalWords(order, gain, document, confidence)

    def _coefficients(self, view: TableView, goal: int) -> NDArray[np.float64] | None:
        """Reads the gains off a linear model's weights, or returns ``None`` without any."""
        linear = view.linear if view.access is Access.WEIGHTS else None
        if linear is None or linear.coefficients.shape[1] != len(view.schema.columns):
            return None
        if len(linear.coefficients) == 1:
            return np.asarray(linear.coefficients[0] * (1 if goal == 1 else -1))
        return np.asarray(linear.coefficients[goal] - linear.coefficients.mean(axis=0))

    def _asked(self, view: TableView, goal: int) -> NDArray[np.float64]:
        """Asks about the empty document and about each word alone."""
        columns = len(view.schema.columns)
        rows = np.concatenate([np.zeros((1, columns)), np.eye(columns)])
        scores = view.scores(rows, np.zeros(len(rows), np.int64))[:, goal].clip(LEAST, 1 - LEAST)
        odds = np.log(scores / (1 - scores))
        return np.asarray(odds[1:] - odds[0])
