"""ONNX models of tables, run by onnxruntime."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.onnx_files import hash_file, open_session, run_session
from darkroom.tables.schema import Rows, Schema
from darkroom.tables.targets.base import (
    Predictions,
    Scores,
    TableTarget,
    answered,
    checked_predictions,
    checked_scores,
)

_NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


class OnnxTableTarget(TableTarget):
    """A model in the ONNX format: either one input a column, named like it, or one matrix.

    The first output is the prediction. A second one of probabilities, as a matrix or as skl2onnx's
    sequence of maps, gives scores; a matrix has its columns in the order of the response's values.
    """

    def __init__(self, path: Path, schema: Schema, *, name: str | None = None) -> None:
        """Opens the file.

        Args:
            path: The ``.onnx`` file.
            schema: The tables it takes and what it predicts.
            name: What reports call it; the file's name when left out.

        Raises:
            TargetError: If it is missing or no ONNX model, or its inputs are not the schema's.
        """
        self.name, self.schema, self._file = name or path.name, schema, path
        self._session = open_session(path)
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        self._matrix = len(self._inputs) == 1 and set(self._inputs) != set(schema.names)
        self._check_inputs()
        scored = self.classes is not None and len(self._session.get_outputs()) > 1
        self.access = Access.SCORES if scored else Access.LABEL

    def _check_inputs(self) -> None:
        if self._matrix:
            (only,) = self._inputs.values()
            width = only.shape[-1] if only.shape else None
            if only.type not in _NUMBERS or (
                isinstance(width, int) and width != len(self.schema.columns)
            ):
                raise TargetError(
                    f"target {self.name} takes {only.type} of width {width}, but the schema has "
                    f"{len(self.schema.columns)} columns: export it with one input a column"
                )
            return
        for missing in set(self._inputs) - set(self.schema.names):
            raise TargetError(f"target {self.name} takes column {missing!r}, which the table lacks")
        for extra in set(self.schema.names) - set(self._inputs):
            raise TargetError(
                f"target {self.name} does not take column {extra!r}: leave it out of "
                "[target] inputs"
            )

    def _feed(self, rows: Rows) -> dict[str, Any]:
        frame = self.schema.decode(rows)
        if self._matrix:
            (only,) = self._inputs.values()
            return {only.name: frame.to_numpy(_NUMBERS[only.type])}
        return {
            name: frame[name].to_numpy(_NUMBERS.get(one.type, object))[:, None]
            for name, one in self._inputs.items()
        }

    def _ask(self, rows: Rows) -> list[Any]:
        answer: list[Any] = answered(
            lambda table: run_session(self._session, None, self._feed(table)), rows, self.name
        )
        return answer

    def predict(self, rows: Rows) -> Predictions:
        """Asks the model; see :meth:`TableTarget.predict`."""
        if not len(rows):
            return np.empty(0)
        return checked_predictions(self._ask(rows)[0], len(rows), self)

    def scores(self, rows: Rows) -> Scores:
        """Asks the model; see :meth:`TableTarget.scores`."""
        if not self.access.includes(Access.SCORES):
            return super().scores(rows)
        if not len(rows):
            return np.empty((0, self.classes or 0))
        answer = self._ask(rows)[1]
        if isinstance(answer, list):
            values = self.schema.response.values
            answer = [[one.get(value, np.nan) for value in values] for one in answer]
        return checked_scores(answer, len(rows), self)

    def fingerprint(self) -> str:
        """Hashes the file, weights beside it, and the columns that it gets."""
        return hashlib.sha256(repr(self.schema).encode() + hash_file(self._file)).hexdigest()
