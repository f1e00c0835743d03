"""What every table target is: a model of rows as the attacker reaches it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError, one_line
from darkroom.ledger import Bill
from darkroom.tables.schema import Rows, Schema, pandas_module

Scores = NDArray[np.float64]
Predictions = NDArray[np.float64]


class Trees(NamedTuple):
    """The structure of a model made of decision trees.

    Attributes:
        counts: For each tree, how many training rows reached each of its places, ``(places,)``:
            its nodes, or its leaves alone. XGBoost counts second derivatives.
        totals: For each tree, how many reached its root.
        values: For each tree, what it predicts at each place, ``(places, outputs)``: shares of the
            classes for a classifier's trees, one number for a regressor's or a booster's.
        classes: For each column of the values of a classifier's trees, the place of the class in
            the schema's response; empty for numbers.
    """

    counts: tuple[NDArray[np.float64], ...]
    totals: tuple[float, ...]
    values: tuple[NDArray[np.float64], ...]
    classes: NDArray[np.int64]


class Linear(NamedTuple):
    """The weights of a linear model, on the columns that its preprocessing makes.

    Attributes:
        coefficients: ``(outputs, features)``.
        intercept: ``(outputs,)``.
    """

    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]


class TableTarget(ABC):
    """A model of tables under audit.

    Attributes:
        name: What reports call it.
        schema: The tables it takes and what it predicts.
        access: The most that a query to it can return.
        served: Whether others serve it, so that asking has a price.
    """

    name: str
    schema: Schema
    access: Access
    served: ClassVar[bool] = False

    @property
    def classes(self) -> int | None:
        """How many classes a classifier tells apart; ``None`` for a regressor."""
        response = self.schema.response
        return len(response.values) if response.kind == "categorical" else None

    @property
    def has_scores(self) -> bool:
        """Whether it answers confidences, which a classifier with weights may not."""
        return self.classes is not None and self.access is Access.SCORES

    @abstractmethod
    def predict(self, rows: Rows) -> Predictions:
        """Returns what the model predicts.

        Args:
            rows: ``(n, columns)`` as the schema encodes them; ``n`` may be 0.

        Returns:
            Float64 ``(n,)``: the place of the class in the schema's response, or the value.

        Raises:
            TargetError: If the model refuses the rows, or answers something else.
        """

    def scores(self, rows: Rows) -> Scores:  # noqa: ARG002 - for those that have scores
        """Returns the confidence of every class.

        Args:
            rows: ``(n, columns)``.

        Returns:
            Float64 ``(n, classes)``, non-negative; every row sums to one.

        Raises:
            TargetError: If the model has none, refuses the rows, or answers something else.
        """
        raise TargetError(f"target {self.name} has no confidence scores: use an attack for label")

    @property
    def trees(self) -> Trees | None:
        """The structure of a model made of trees, else ``None``."""
        return None

    @property
    def linear(self) -> Linear | None:
        """The weights of a linear model, else ``None``."""
        return None

    def leaves(self, rows: Rows) -> NDArray[np.int64]:  # noqa: ARG002 - for those that have trees
        """Returns the leaf that each row reaches in each tree, ``(n, trees)``.

        Raises:
            TargetError: If the model is not made of trees, or refuses the rows.
        """
        raise TargetError(f"target {self.name} is not made of decision trees: use another attack")

    def refitted(
        self,
        rows: Rows,  # noqa: ARG002 - for those that can be fitted
        response: NDArray[np.float64],  # noqa: ARG002
    ) -> TableTarget | None:
        """Returns the same estimator fitted to rows, else ``None``.

        Args:
            rows: ``(n, columns)``.
            response: As the schema encodes it, ``(n,)``.
        """
        return None

    def billed(self, bill: Bill) -> AbstractContextManager[None]:  # noqa: ARG002
        """Keeps the ledger true to what a server saw, as long as the context lasts.

        A model in this process is asked once for each row that was charged; see
        :meth:`darkroom.images.targets.base.Target.billed` for those that are not.

        Args:
            bill: Of the next query.
        """
        return nullcontext()

    @abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of all that decides the target's answers, as hexadecimal digits."""


class CallableTableTarget(TableTarget):
    """A function of one's own that takes a DataFrame and returns predictions or scores."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        schema: Schema,
        *,
        outputs: str = "predictions",
        name: str | None = None,
    ) -> None:
        """Wraps a function.

        Args:
            function: Takes a DataFrame with the schema's columns; returns ``(n,)`` classes or
                values, or ``(n, classes)`` probabilities in the order of the response's values.
            schema: The tables it takes and what it predicts.
            outputs: ``predictions`` or ``scores``.
            name: What reports call it.

        Raises:
            TargetError: If ``outputs`` is something else, or scores are said to come from a
                regressor.
        """
        if outputs not in ("predictions", "scores"):
            raise TargetError(f"outputs {outputs!r}: give 'predictions' or 'scores'")
        self.name = name or str(getattr(function, "__name__", "function"))
        self.schema = schema
        self._function, self._outputs = function, outputs
        if outputs == "scores" and self.classes is None:
            raise TargetError(
                f"target {self.name}: scores of a numeric response {schema.response.name!r}: "
                "set outputs = 'predictions', or declare the response categorical"
            )
        self.access = Access.SCORES if outputs == "scores" else Access.LABEL

    def predict(self, rows: Rows) -> Predictions:
        """Asks the function; see :meth:`TableTarget.predict`."""
        if self._outputs == "scores":
            return np.asarray(self.scores(rows).argmax(axis=1), dtype=np.float64)
        return checked_predictions(self._ask(rows), len(rows), self)

    def scores(self, rows: Rows) -> Scores:
        """Asks the function; see :meth:`TableTarget.scores`."""
        if self._outputs != "scores":
            return super().scores(rows)
        return checked_scores(self._ask(rows), len(rows), self)

    def _ask(self, rows: Rows) -> Any:
        if not len(rows):
            return np.empty((0, self.classes or 1)) if self._outputs == "scores" else np.empty(0)
        return answered(self._function, self.schema.decode(rows), self.name)

    def fingerprint(self) -> str:
        """Hashes the function's code and its answers to a fixed set of rows, if it takes them."""
        code = getattr(self._function, "__code__", None)
        words = [self.name] if code is None else [code.co_code.hex(), repr(code.co_consts)]
        digest = hashlib.sha256(repr((words, self.schema)).encode())
        with suppress(TargetError):  # a function may refuse rows that no table has
            digest.update(self.predict(probe_rows(self.schema)).tobytes())
        return digest.hexdigest()


def probe_rows(schema: Schema, n: int = 64) -> Rows:
    """Returns fixed rows on which a model without readable weights is told from another."""
    rng = np.random.default_rng(0)
    columns = [
        rng.integers(len(column.values), size=n)
        if column.kind == "categorical"
        else rng.normal(0, 10, size=n).round(2)
        for column in schema.columns
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def answered(function: Callable[[Any], Any], table: Any, name: str) -> Any:
    """Asks a model, and turns whatever it raises into one line.

    Raises:
        TargetError: With what the model says.
    """
    try:
        return function(table)
    except Exception as error:
        raise TargetError(
            f"target {name}: the model refuses rows ({one_line(error)}): check the schema's "
            "columns, their order and their values"
        ) from error


def checked_predictions(answer: Any, n: int, target: TableTarget) -> Predictions:
    """Turns a model's answer into places of classes or values.

    Raises:
        TargetError: If the shape differs, a class is unknown, or a value is no finite number.
    """
    array = np.asarray(answer)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise TargetError(
            f"target {target.name} answers {list(array.shape)} to {n} rows: one prediction a row "
            "is due"
        )
    response = target.schema.response
    if response.kind == "numeric":
        try:
            values: Predictions = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TargetError(
                f"target {target.name} answers {array[0]!r}, but the response "
                f"{response.name!r} is numeric: declare it categorical"
            ) from error
        if not np.isfinite(values).all():
            raise TargetError(f"target {target.name}: a prediction is not finite")
        return np.asarray(values)
    return class_places(array, target).astype(np.float64)


def class_places(names: NDArray[Any], target: TableTarget) -> NDArray[np.int64]:
    """Returns the places of classes among the response's values.

    Raises:
        TargetError: If a class is none of them.
    """
    values = target.schema.response.values
    places = pandas_module().Index(values).get_indexer(names)
    if (places < 0).any():
        stranger = names[places < 0].tolist()[0]
        raise TargetError(
            f"target {target.name} predicts {stranger!r}, which is no value of "
            f"{target.schema.response.name!r} ({', '.join(map(str, values[:6]))}): check [target] "
            "response"
        )
    return np.asarray(places, dtype=np.int64)


def checked_scores(answer: Any, n: int, target: TableTarget) -> Scores:
    """Turns a model's answer into probabilities.

    Raises:
        TargetError: If the shape differs or a row is no probability distribution.
    """
    scores = np.asarray(answer, dtype=np.float64)
    if scores.shape != (n, target.classes):
        raise TargetError(
            f"target {target.name} answers {list(scores.shape)} to {n} rows and "
            f"{target.classes} classes: one probability a class is due"
        )
    if not np.isfinite(scores).all() or (scores < -1e-6).any():
        raise TargetError(f"target {target.name}: scores are no probabilities")
    if n and np.abs(scores.sum(axis=1) - 1).max() > 1e-3:
        raise TargetError(
            f"target {target.name}: scores do not sum to one: give probabilities, not logits"
        )
    clipped = scores.clip(0, None)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))
