"""What is audited: a model of tables, the rows it was trained on, and what is public."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.errors import DataError, PlanError, nearest
from darkroom.named import origin
from darkroom.tables.attacks.base import Records
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.candidates import Belief, Candidates
from darkroom.tables.data import Encoded, TableData
from darkroom.tables.measures.subgroups import Division
from darkroom.tables.schema import MOST_VALUES, Column, Rows, Schema
from darkroom.tables.targets.base import TableTarget

Who = Literal["members", "others"]

QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class TableSubject:
    """A model of tables with the truth about it.

    Attributes:
        target: The model under audit.
        data: Members, others and public rows.
        candidates: The values of the sensitive columns.
        positive: The candidate that precision, recall and AUC are about.
        knows: Whether the attacker has the true response or the model's prediction.
        errors_on: On which rows the errors are measured that the attacker knows of.
        groups: Columns whose values are compared.
        tolerance: How far off a guess at a number may be and still count; ``None`` for categories.
        shelf: Where the model's errors are kept, which take a pass over all rows.
    """

    target: TableTarget
    data: TableData
    candidates: Candidates
    positive: int
    knows: Literal["response", "prediction"]
    errors_on: Who
    groups: tuple[str, ...]
    tolerance: float | None
    shelf: Artefacts = NOWHERE

    @classmethod
    def of(
        cls,
        target: TableTarget,
        data: TableData,
        *,
        positive: str | None = None,
        knows: Literal["response", "prediction"] = "response",
        errors_on: Who = "members",
        groups: list[str] | None = None,
        bins: int = 20,
        tolerance: float | None = None,
    ) -> TableSubject:
        """Finds what is left to find.

        Raises:
            DataError: If there are too few rows, or nothing to infer.
            PlanError: If the positive value or a group is unknown, or errors are to be measured
                on rows that are not there.
        """
        if len(data.members.rows) < 2:
            raise DataError(
                f"the model was trained on {len(data.members.rows)} private rows: give at least "
                "two ([private] trained_on)"
            )
        if not len(data.public.rows):
            raise DataError("no public rows: baselines cannot be measured without ([public] table)")
        if errors_on == "others" and not len(data.others.rows):
            raise PlanError("errors_on = 'others', but the model was trained on all private rows")
        candidates = Candidates.of(data.schema, data.public.rows, bins)
        return cls(
            target,
            data,
            candidates,
            _positive(candidates, data, positive),
            knows,
            errors_on,
            _groups(data.schema, groups),
            _tolerance(candidates, data.public.rows, tolerance),
        )

    def part(self, who: Who) -> Encoded:
        """Returns the private rows of one kind."""
        return self.data.members if who == "members" else self.data.others

    def truth(self, who: Who) -> NDArray[np.int64]:
        """Returns the true candidate of each row, ``(n,)``; for numbers the nearest."""
        return self.candidates.place(self.part(who).rows)

    def records(self, who: Who, chosen: slice = slice(None)) -> Records:
        """Returns what the attacker knows of each row, or of those that are chosen."""
        part, known = self.part(who), self.known(who, chosen)
        if self.knows == "response":
            return Records(known, part.response[chosen])
        return Records(known, self.target.predict(part.rows[chosen]))

    def known(self, who: Who, chosen: slice = slice(None)) -> Rows:
        """Returns the columns that the attacker has of rows; NaN in the others."""
        known = self.part(who).rows[chosen].copy()
        known[:, self.data.schema.hidden] = np.nan
        return known

    @cached_property
    def errors(self) -> Errors:
        """How the model errs, as far as the attacker knows."""
        return self.shelf.made("model-errors", [self.digest()], self._erring)

    def _erring(self) -> Errors:
        part = self.part(self.errors_on)
        predictions = self.target.predict(part.rows)
        response = part.response if self.knows == "response" else predictions
        return Errors.of(response, predictions, self.target.classes)

    def hits(self, who: Who, belief: Belief) -> NDArray[np.bool_]:
        """Tells which guesses count as right, ``(n,)``."""
        if self.tolerance is None:
            return np.asarray(belief.chances.argmax(axis=1) == self.truth(who))
        true = self.part(who).rows[:, self.candidates.positions[0]]
        return np.asarray(np.abs(self.candidates.summary(belief)[0] - true) <= self.tolerance)

    def divisions(self, who: Who) -> list[Division]:
        """Returns the ways in which rows are divided into groups."""
        rows, schema = self.part(who).rows, self.data.schema
        names = self.candidates.labels
        found = [
            self._division(schema.column(name), rows[:, schema.positions([name])[0]])
            for name in self.groups
        ]
        if self.tolerance is None:
            truth = self.truth(who)
            found.append(Division(", ".join(schema.sensitive), names, truth, sensitive=True))
        return found

    def _division(self, column: Column, values: NDArray[np.float64]) -> Division:
        if column.kind == "categorical":
            names = tuple(str(value) for value in column.values)
            return _with_missing(column.name, names, values, values)
        public = self.data.public.rows[:, self.data.schema.positions([column.name])[0]]
        cuts = np.nanquantile(public, [0.25, 0.5, 0.75])
        return _with_missing(column.name, QUARTERS, np.searchsorted(cuts, values), values)

    def digest(self) -> str:
        """Returns a hash of the target, all rows and what is asked of them."""
        words = [
            self.target.fingerprint(),
            *origin(type(self.target)),
            self.data.digest(),
            repr((self.positive, self.knows, self.errors_on, self.groups, self.tolerance)),
            repr(self.candidates.values.tolist()),
        ]
        return hashlib.sha256("".join(words).encode()).hexdigest()


def _positive(candidates: Candidates, data: TableData, named: str | None) -> int:
    """Returns the place of the positive value: the one named, or the rarest among members."""
    labels = candidates.labels
    if named is not None:
        if named not in labels:
            raise PlanError(f"positive: no sensitive value {named!r}: {nearest(named, labels)}")
        return labels.index(named)
    counts = np.bincount(candidates.place(data.members.rows), minlength=len(labels))
    return int(np.where(counts > 0, counts, counts.max() + 1).argmin())


def _groups(schema: Schema, named: list[str] | None) -> tuple[str, ...]:
    follows = (*schema.sensitive, *schema.derived)
    usual = [
        column.name
        for column in schema.columns
        if column.name not in follows and len(column.values) <= MOST_VALUES
    ]
    for name in named or []:
        if name not in usual:
            raise PlanError(f"groups: no column {name!r}: {nearest(name, usual)}")
    return tuple(usual if named is None else named)


def _tolerance(candidates: Candidates, public: Rows, given: float | None) -> float | None:
    """Returns how far off a number may be: a tenth of the range of the middle nine tenths."""
    if not candidates.numeric:
        if given is not None:
            raise PlanError("tolerance: the sensitive columns are categories: leave it out")
        return None
    low, high = np.quantile(public[:, candidates.positions[0]], [0.05, 0.95])
    return given if given is not None else float(high - low) / 10


def _with_missing(
    name: str, groups: tuple[str, ...], places: NDArray[Any], values: NDArray[np.float64]
) -> Division:
    """Divides rows by a column; those of which the value is missing are a group of their own."""
    missing = np.isnan(values)
    if not missing.any():
        return Division(name, groups, places.astype(np.int64))
    own = np.where(missing, len(groups), places).astype(np.int64)
    return Division(name, (*groups, "missing"), own)
