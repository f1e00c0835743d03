"""What an attacker knows of a table before asking: how usual each sensitive value is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, PlanError, nearest
from darkroom.tables.candidates import Candidates, Spread, grid_of
from darkroom.tables.schema import MOST_VALUES, Rows, Schema

Probabilities = NDArray[np.float64]

GRID = 10
"""Values that stand for an unknown numeric column: the medians of so many equal parts."""

GROUPS = 4
"""Parts of a numeric column on which a table is conditional."""

MOST_GIVEN = 6
"""Columns on which a table may be conditional: more make groups of a row each."""


class Unknown(NamedTuple):
    """What unknown columns may hold, for each row.

    Attributes:
        positions: Where the unknown columns stand, ``(unknown,)``.
        values: ``(draws, rows, unknown)``, encoded.
        weights: How probable each is, ``(draws, rows)``; sums to one over draws.
    """

    positions: NDArray[np.int64]
    values: Rows
    weights: Probabilities


class TablePrior(ABC):
    """Probabilities of the sensitive values of a row, given what is known of it.

    Attributes:
        name: The word used in plans.
        candidates: The values among which the attacker chooses.
    """

    name: ClassVar[str]
    candidates: Candidates

    @abstractmethod
    def probabilities(self, known: Rows) -> Probabilities:
        """Returns how probable each candidate is before the model is asked.

        Args:
            known: ``(n, columns)``; what the attacker does not know is NaN.

        Returns:
            Float64 ``(n, candidates)``; every row sums to one.
        """

    def spread(self, known: Rows) -> Spread | None:  # noqa: ARG002 - for those that regress
        """Returns where a number lies between candidates; ``None`` where nothing tells.

        Args:
            known: ``(n, columns)``.
        """
        return None

    @abstractmethod
    def unknown(self, known: Rows, most: int, rng: np.random.Generator) -> Unknown:
        """Returns values for the columns that are unknown and not sensitive.

        Args:
            known: ``(n, columns)``.
            most: All combinations are listed if there are at most so many; else so many are drawn.
            rng: For the draws.
        """


class UniformPrior(TablePrior):
    """Every value is as probable as any other: an attacker without any statistics."""

    name: ClassVar[str] = "uniform"

    def __init__(self, candidates: Candidates) -> None:
        """Takes the candidates.

        Raises:
            DataError: If the schema has unknown columns, whose values nothing tells then.
        """
        if candidates.schema.unknown:
            raise DataError(
                f"prior uniform: unknown columns {', '.join(candidates.schema.unknown)} need "
                "public rows: give [public] table and another prior"
            )
        self.candidates = candidates

    def probabilities(self, known: Rows) -> Probabilities:
        """Returns the same for all."""
        return np.full((len(known), len(self.candidates)), 1 / len(self.candidates))

    def unknown(self, known: Rows, most: int, rng: np.random.Generator) -> Unknown:  # noqa: ARG002
        """Returns nothing to fill in: there are no unknown columns."""
        return _nothing(len(known))


class Grouping:
    """Groups of rows that agree in some columns; numeric ones are cut into quarters."""

    def __init__(self, public: Rows, schema: Schema, given: Sequence[str]) -> None:
        """Finds the groups of public rows.

        Args:
            public: ``(n, columns)``.
            schema: The table's.
            given: Names of columns that the attacker knows.

        Raises:
            PlanError: If a column is absent, or the attacker does not know it.
        """
        for name in given:
            if name not in schema.names:
                raise PlanError(f"given: no column {name!r}: {nearest(name, schema.names)}")
            if name in (*schema.sensitive, *schema.derived, *schema.unknown):
                raise PlanError(f"given: the attacker does not know column {name!r}: leave it out")
            if len(schema.column(name).values) > MOST_VALUES:
                raise PlanError(f"given: column {name!r} has too many values: leave it out")
        if len(given) > MOST_GIVEN:
            raise PlanError(f"given: {len(given)} columns, more than {MOST_GIVEN}: use imputation")
        self._positions = schema.positions(given)
        self._cuts = [
            None
            if schema.columns[place].kind == "categorical"
            else np.quantile(public[:, place], np.arange(1, GROUPS) / GROUPS)
            for place in self._positions
        ]
        self._known = np.unique(self._codes(public))

    def _codes(self, rows: Rows) -> NDArray[np.int64]:
        codes = np.zeros(len(rows), dtype=np.int64)
        for place, cuts in zip(self._positions, self._cuts, strict=True):
            values = rows[:, place]
            part = values.astype(np.int64) if cuts is None else np.searchsorted(cuts, values)
            codes = codes * MOST_VALUES + part
        return codes

    def __len__(self) -> int:
        """How many groups there are, the one of rows that fit nowhere included."""
        return len(self._known) + 1

    def place(self, rows: Rows) -> NDArray[np.int64]:
        """Returns each row's group, ``(n,)``; the last one for a combination never seen."""
        codes = self._codes(rows)
        found = np.searchsorted(self._known, codes).clip(0, len(self._known) - 1)
        return np.where(self._known[found] == codes, found, len(self._known))


def _frequencies(
    groups: NDArray[np.int64],
    number: int,
    values: NDArray[np.int64],
    fallback: Probabilities,
    smoothing: float,
) -> Probabilities:
    """Returns how often each value is in each group, drawn toward a fallback.

    Args:
        groups: ``(n,)``.
        number: Of groups.
        values: ``(n,)``.
        fallback: ``(values,)``.
        smoothing: For how many rows the fallback counts.

    Returns:
        ``(groups, values)``.
    """
    counts = np.zeros((number, len(fallback)))
    np.add.at(counts, (groups, values), 1)
    return np.asarray(
        (counts + smoothing * fallback) / (counts.sum(axis=1, keepdims=True) + smoothing)
    )


class ConditionalPrior(TablePrior):
    """Frequencies in public rows that agree with the row in some columns.

    Several sensitive columns are taken together. Within a group their frequencies are drawn toward
    the product of their frequencies in all public rows, which count for ``smoothing`` rows.
    """

    name: ClassVar[str] = "conditional"

    def __init__(
        self, candidates: Candidates, public: Rows, given: Sequence[str], smoothing: float = 1.0
    ) -> None:
        """Counts.

        Args:
            candidates: The values to choose among.
            public: Rows with every column known, ``(n, columns)``.
            given: Columns that the attacker knows, on which frequencies depend.
            smoothing: For how many rows the frequencies in all rows count, above 0.

        Raises:
            DataError: If there are no public rows.
            PlanError: If a column is absent or unknown to the attacker.
        """
        require_public(public, self.name)
        self.candidates = candidates
        schema = candidates.schema
        self._groups = Grouping(public, schema, given)
        groups = self._groups.place(public)
        product = marginals(candidates, public, smoothing)
        self._table = _frequencies(
            groups, len(self._groups), candidates.place(public), product, smoothing
        )
        self._unknown = schema.positions(schema.unknown)
        self._grids, self._shares = [], []
        for place, name in zip(self._unknown, schema.unknown, strict=True):
            grid = grid_of(schema, name, public, GRID)
            values = _nearest(grid, public[:, place])
            even = np.full(len(grid), 1 / len(grid))
            (everywhere,) = _frequencies(np.zeros_like(groups), 1, values, even, smoothing)
            self._grids.append(grid)
            self._shares.append(
                _frequencies(groups, len(self._groups), values, everywhere, smoothing)
            )

    def probabilities(self, known: Rows) -> Probabilities:
        """Looks the rows' groups up."""
        return np.asarray(self._table[self._groups.place(known)])

    def unknown(self, known: Rows, most: int, rng: np.random.Generator) -> Unknown:
        """Lists or draws values, each unknown column for itself given the row's group."""
        if not len(self._unknown):
            return _nothing(len(known))
        groups = self._groups.place(known)
        number = int(np.prod([len(grid) for grid in self._grids]))
        if number <= most:
            places = np.indices([len(grid) for grid in self._grids]).reshape(len(self._grids), -1)
            chosen = [np.broadcast_to(place[:, None], (number, len(known))) for place in places]
            weights = np.ones((number, len(known)))
            for share, place in zip(self._shares, places, strict=True):
                weights = weights * share[groups][:, place].T
            return Unknown(self._unknown, self._values(chosen), weights)
        # A Latin hypercube, the same for all rows: even draws, and none hangs on other rows.
        levels = [(rng.permutation(most) + rng.random(most)) / most for _ in self._shares]
        chosen = [
            (share[groups].cumsum(axis=1)[None] < level[:, None, None]).sum(axis=2)
            for share, level in zip(self._shares, levels, strict=True)
        ]
        return Unknown(self._unknown, self._values(chosen), np.full((most, len(known)), 1 / most))

    def _values(self, chosen: Sequence[NDArray[np.int64]]) -> Rows:
        values = [
            grid[place.clip(0, len(grid) - 1)]
            for grid, place in zip(self._grids, chosen, strict=True)
        ]
        return np.stack(values, axis=2)


class MarginalsPrior(ConditionalPrior):
    """Frequencies in all public rows, each sensitive column for itself (Fredrikson et al. 2014)."""

    name: ClassVar[str] = "marginals"

    def __init__(self, candidates: Candidates, public: Rows, smoothing: float = 1.0) -> None:
        """Counts; see :class:`ConditionalPrior`."""
        super().__init__(candidates, public, (), smoothing)
        self._table = np.tile(marginals(candidates, public, smoothing), (len(self._groups), 1))


def marginals(candidates: Candidates, public: Rows, smoothing: float) -> Probabilities:
    """Returns the product of the sensitive columns' frequencies, ``(candidates,)``.

    Columns of one attribute are counted together.
    """
    if candidates.joint:
        found = np.bincount(candidates.place(public), minlength=len(candidates))
        return np.asarray((found + smoothing / len(found)) / (found.sum() + smoothing))
    product = np.ones(len(candidates))
    for place, position in enumerate(candidates.positions[: len(candidates.schema.sensitive)]):
        grid = np.unique(candidates.values[:, place])
        counts = np.bincount(_nearest(grid, public[:, position]), minlength=len(grid))
        shares = (counts + smoothing / len(grid)) / (counts.sum() + smoothing)
        product = product * shares[np.searchsorted(grid, candidates.values[:, place])]
    return np.asarray(product / product.sum())


def require_public(public: Rows, name: str) -> None:
    """Refuses a prior without rows to learn from.

    Raises:
        DataError: If there are none.
    """
    if not len(public):
        raise DataError(
            f"prior {name}: no public rows to count in: give [public] table, or use uniform"
        )


def _nearest(grid: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the place of the nearest value of a sorted grid, ``(n,)``."""
    return np.searchsorted((grid[1:] + grid[:-1]) / 2, values).astype(np.int64)


def _nothing(rows: int) -> Unknown:
    """Returns one draw of no columns, with all the weight."""
    return Unknown(np.empty(0, np.int64), np.empty((1, rows, 0)), np.ones((1, rows)))
