"""Rows of tables on the wire: plain JSON, and Open Inference with a column a tensor."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.tables.schema import Schema, pandas_module
from darkroom.wire.answers import AnswerError, ClassNames
from darkroom.wire.base import Request, Shows, dumped, joined, listed, parsed
from darkroom.wire.paths import AnswerPath
from darkroom.wire.rows import decode_rows, labels, matrix, numbers

if TYPE_CHECKING:
    import pandas as pd

Answers = Literal["scores", "predictions"]


class TableWire(ABC):
    """A wire format with the address of one model of tables.

    Attributes:
        url: Where the model is; reports name it.
        answers: ``scores`` of a classifier, or ``predictions``: classes or numbers.
    """

    url: str
    answers: Answers

    def __init__(self, url: str, schema: Schema, answers: Answers) -> None:
        """Takes the address and what the model predicts.

        Raises:
            TargetError: If scores of a numeric response are asked for.
        """
        self.url, self.schema, self.answers = url, schema, answers
        response = schema.response
        if answers == "scores" and response.kind == "numeric":
            raise TargetError(
                f"target {url}: scores of a numeric response {response.name!r}: set [target] "
                'answers = "predictions"'
            )
        self.classes = tuple(str(class_name(value)) for value in response.values)
        self.names = ClassNames(self.classes) if response.kind == "categorical" else None

    @abstractmethod
    def request(self, table: pd.DataFrame) -> Request:
        """Returns what asks about the rows of a table, at least one."""

    @abstractmethod
    def decode(self, content: bytes, rows: int) -> NDArray[np.float64]:
        """Returns scores ``(rows, classes)``, or places of classes or numbers ``(rows,)``.

        Raises:
            AnswerError: If it is no answer to so many rows.
        """

    @abstractmethod
    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how this model is asked, for a fingerprint."""

    def _predictions(self, values: list[Any]) -> NDArray[np.float64]:
        """Reads one prediction a row; a list of one is what it holds."""
        alone = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in values]
        if self.names is None:
            return numbers(alone)
        return labels([class_name(one) for one in alone], self.names).astype(np.float64)


def class_name(value: object) -> object:
    """Returns how a class is named on the wire: 1, 1.0 and "1" are the same class.

    >>> class_name(1.0), class_name(1), class_name("high"), class_name(True)
    ('1', '1', 'high', 'True')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


def _plain(values: Any) -> list[Any]:
    """Returns a column's values as JSON has them; what is missing is null."""
    found = np.array(values, object)
    found[pandas_module().isna(found)] = None
    plain: list[Any] = found.tolist()
    return plain


def _as_float(value: Any) -> float | None:
    return None if value is None else float(value)


class TableJson(TableWire):
    """``POST URL``: rows under one key as objects, answers under a path, a JMESPath expression."""

    def __init__(
        self,
        url: str,
        schema: Schema,
        *,
        answers: Answers = "predictions",
        inputs: str = "inputs",
        path: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes the endpoint and where things are in the two bodies.

        Args:
            url: The endpoint.
            schema: The rows that it takes.
            answers: What it answers.
            inputs: The key of the rows.
            path: Where the answer has one entry a row; what it answers, unless told.
            extra: What the request holds besides.

        Raises:
            TargetError: If the path is no JMESPath expression, or the key of the rows is taken.
        """
        super().__init__(url, schema, answers)
        self.inputs, self.path = inputs, path or answers
        self.extra = dict(extra or {})
        if inputs in self.extra:
            raise TargetError(f"[target] inputs = {inputs!r}: [target] extra has it already")
        self._path = AnswerPath(self.path)

    def request(self, table: pd.DataFrame) -> Request:
        """Returns the rows under their key, with whatever else the server wants."""
        columns = {str(name): _plain(table[name]) for name in table.columns}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return Request(self.url, dumped({**copy.deepcopy(self.extra), self.inputs: rows}))

    def decode(self, content: bytes, rows: int) -> NDArray[np.float64]:
        """Returns what is found at the path; see :meth:`TableWire.decode`."""
        found = self._path.find(content)
        if self.answers == "predictions":
            return self._predictions(listed(found, rows, "the answer"))
        assert self.names is not None
        decoded = decode_rows(found, rows, Shows(Access.SCORES, self.classes))
        assert isinstance(decoded, np.ndarray)
        return decoded.astype(np.float64)

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the model is asked."""
        extra = repr(sorted(self.extra.items()))
        return ("json", self.url, self.answers, self.inputs, self.path, extra)


class TableOpenInference(TableWire):
    """The Open Inference Protocol, version 2, a column a tensor (MLServer's ``pd`` codec)."""

    def __init__(
        self,
        url: str,
        model: str,
        schema: Schema,
        *,
        answers: Answers = "predictions",
        version: str | None = None,
        output: str | None = None,
    ) -> None:
        """Takes the server and the model.

        Args:
            url: The server.
            model: The model's name on it.
            schema: The rows that it takes.
            answers: What it answers.
            version: Its version; the server's choice unless told.
            output: The output to read; the first unless told. MLServer calls them ``predict`` and
                ``predict_proba``.
        """
        super().__init__(url, schema, answers)
        self.model, self.version, self.output = model, version, output
        where = f"/versions/{version}" if version is not None else ""
        self._infer = joined(url, f"v2/models/{model}{where}/infer")

    def request(self, table: pd.DataFrame) -> Request:
        """Returns one tensor a column, numbers as FP64 and anything else as text."""
        inputs = []
        for column in self.schema.columns:
            values = _plain(table[column.name])
            present = [value for value in values if value is not None]
            text = any(isinstance(value, str) for value in present)
            truth = not text and all(isinstance(value, bool) for value in present)
            whole = not (text or truth) and all(isinstance(value, int) for value in values)
            datatype = "BYTES" if text else "BOOL" if truth else "INT64" if whole else "FP64"
            tensor: dict[str, Any] = {
                "name": column.name,
                "shape": [len(values), 1],
                "datatype": datatype,
                "data": [_as_float(one) for one in values] if datatype == "FP64" else values,
            }
            if text:
                tensor["parameters"] = {"content_type": "str"}
            inputs.append(tensor)
        body: dict[str, Any] = {"parameters": {"content_type": "pd"}, "inputs": inputs}
        if self.output is not None:
            body["outputs"] = [{"name": self.output}]
        return Request(self._infer, dumped(body))

    def decode(self, content: bytes, rows: int) -> NDArray[np.float64]:
        """Returns what the output holds; see :meth:`TableWire.decode`."""
        answer = parsed(content)
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(outputs, list) or not outputs:
            raise AnswerError("it has no outputs")
        found = [
            one
            for one in outputs
            if isinstance(one, dict) and self.output in (None, one.get("name"))
        ]
        if not found:
            raise AnswerError(f"it has no output called {self.output!r}")
        data = found[0].get("data")
        if self.answers == "predictions":
            return self._predictions(listed(data, rows, "its data"))
        assert self.names is not None
        classes = self.names.count
        if isinstance(data, list) and data and not isinstance(data[0], list):
            flat = listed(data, rows * classes, "its data")
            data = [flat[place : place + classes] for place in range(0, len(flat), classes)]
        return matrix(listed(data, rows, "its data"), classes)

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the model is asked."""
        return ("v2", self._infer, self.answers, self.output)
