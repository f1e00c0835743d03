"""What a training of a model of tables works on: an estimator, and the rows that it learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from darkroom.tables.training.columns import PublicTable, seeded
from darkroom.training.defense import Advance, Course, ignore


@dataclass(frozen=True)
class TableCourse(Course[Any]):
    """Everything that one training of a model of tables works on.

    Attributes:
        model: A scikit-learn estimator or pipeline that takes ``inputs``.
        inputs: The rows that it learns from, a DataFrame or an array ``(n, columns)``.
        response: Of each row, ``(n,)``.
        public: What everybody knows of the table. Without it inputs are numbers, and a private
            training takes bounds from its own parameters alone.
        seed: Of noise, and of estimators that draw and have no seed.
        advance: Told how far the training is; never, since scikit-learn does not say.
    """

    model: Any
    inputs: Any
    response: Any
    public: PublicTable | None
    seed: int
    advance: Advance = ignore

    def begun(self) -> TableCourse:
        """Returns the course with an unfitted copy that has a seed; see :meth:`Course.begun`."""
        from sklearn.base import clone

        return replace(self, model=seeded(clone(self.model), self.seed))

    def ended(self) -> Any:
        """Returns the fitted estimator; see :meth:`Course.ended`."""
        return self.model
