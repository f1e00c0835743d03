"""Training defences for models of tables: what they share, and the control beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from darkroom.auditing.record import Privacy
from darkroom.tables.training.course import TableCourse
from darkroom.training.defense import CONTROL, TrainingDefense


class TableTraining(TrainingDefense[TableCourse, Any]):
    """Fits a scikit-learn estimator: the given one, changed, or one of its own."""

    def _fit(self, course: TableCourse) -> Privacy | None:
        course.model.fit(course.inputs, course.response)
        return None


@dataclass(frozen=True)
class UndefendedTable(TableTraining):
    """Changes nothing: the control beside which every defence is measured."""

    name: ClassVar[str] = CONTROL
    paper: ClassVar[str] = ""
