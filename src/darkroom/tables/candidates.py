"""What a sensitive attribute may be: the values among which an attacker chooses."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError
from darkroom.tables.schema import Column, Rows, Schema

MOST_CANDIDATES = 4096
"""More joint values than this are refused."""

ON = (1, "1", "1.0", "True", "true")
"""What a column of a one-hot encoding says where it is on; a truth value is 1 as well."""

NONE_ON = "none of them"
"""The value of an attribute of whose columns none is on."""


Values = NDArray[np.float64]


class Spread(NamedTuple):
    """Where a number lies by what is known of its row, between candidates too.

    Attributes:
        middle: What regression says of each row, ``(n,)``.
        residuals: By how much it was off elsewhere, in increasing order, ``(k,)``.
    """

    middle: Values
    residuals: Values

    def below(self, points: Values) -> Values:
        """Returns how probable each row is to lie below each point, ``(n, points)``."""
        return np.interp(points - self.middle[:, None], self.residuals, self._chances, 0, 1)

    def at(self, chances: Values) -> Values:
        """Returns the values below which each row lies with given chances, ``(..., n)``."""
        return np.asarray(self.middle + np.interp(chances, self._chances, self.residuals))

    @property
    def _chances(self) -> Values:
        return (np.arange(len(self.residuals)) + 0.5) / len(self.residuals)


class Belief(NamedTuple):
    """How probable each candidate is to somebody.

    Attributes:
        chances: ``(n, candidates)``; every row sums to one.
        spread: Where a number lies within the part that a candidate stands for; even when ``None``.
    """

    chances: Values
    spread: Spread | None = None


@dataclass(frozen=True)
class Candidates:
    """Every joint value of the sensitive columns, or for numeric ones a grid of values.

    Attributes:
        schema: The table's.
        positions: Where the sensitive columns stand among the inputs, and then those that follow
            from them, ``(columns,)``.
        values: Encoded as in the table's rows, ``(candidates, columns)``.
    """

    schema: Schema
    positions: NDArray[np.int64]
    values: Rows

    @classmethod
    def of(cls, schema: Schema, public: Rows | None = None, bins: int = 20) -> Candidates:
        """Lists the values.

        Args:
            schema: The table's.
            public: Public rows, from which numeric columns get their grid of ``bins`` values:
                closer where more rows are, and nowhere far apart.
            bins: Parts of a numeric column.

        Raises:
            DataError: If there is no sensitive column, one is numeric and there are no public
                rows, or there are more than :data:`MOST_CANDIDATES` joint values.
        """
        if not schema.sensitive:
            raise DataError("no sensitive column: name at least one")
        positions = schema.positions((*schema.sensitive, *schema.derived))
        if schema.possible:
            _refuse_many(len(schema.possible), schema)
            return cls(schema, positions, np.array(schema.possible))
        grids = [grid_of(schema, name, public, bins, even=True) for name in schema.sensitive]
        for name, grid in zip(schema.sensitive, grids, strict=True):
            if len(grid) < 2:
                raise DataError(
                    f"column {name!r}: always {grid[0]:g} in public rows: no need to ask"
                )
        number = int(np.prod([len(grid) for grid in grids]))
        _refuse_many(number, schema)
        values = np.array(list(itertools.product(*grids)), dtype=np.float64)
        return cls(schema, positions, values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def numeric(self) -> bool:
        """Whether the one sensitive column is a number, whose candidates have an order."""
        columns = [self.schema.column(name) for name in self.schema.sensitive]
        return len(columns) == 1 and columns[0].kind == "numeric"

    @property
    def joint(self) -> bool:
        """Whether several columns are one attribute, whose values are counted together."""
        return bool(self.schema.encoding)

    @property
    def labels(self) -> tuple[str, ...]:
        """The candidates as text, joined by ``, `` where there are several columns."""
        columns = [self.schema.column(name) for name in self.schema.sensitive]
        if self.joint:
            return tuple(
                next((one.name for one, on in zip(columns, row, strict=False) if on), NONE_ON)
                for row in self._on
            )
        return tuple(
            ", ".join(column.label(value) for column, value in zip(columns, row, strict=False))
            for row in self.values
        )

    @property
    def _on(self) -> NDArray[np.bool_]:
        """Which columns of one attribute are on, ``(candidates, sensitive)``."""
        columns = [self.schema.column(name) for name in self.schema.sensitive]
        return np.stack(
            [
                [is_on(column, value) for value in self.values[:, place]]
                for place, column in enumerate(columns)
            ],
            axis=1,
        )

    def place(self, rows: Rows) -> NDArray[np.int64]:
        """Returns which candidate each row's sensitive values are, or are nearest to.

        Args:
            rows: ``(n, columns)`` with the sensitive columns known.

        Returns:
            ``(n,)``.
        """
        found, codes = np.zeros(len(rows), np.int64), np.zeros(len(self), np.int64)
        for place, position in enumerate(self.positions[: len(self.schema.sensitive)]):
            grid = np.unique(self.values[:, place])
            middles = (grid[1:] + grid[:-1]) / 2
            codes = codes * len(grid) + np.searchsorted(grid, self.values[:, place])
            found = found * len(grid) + np.searchsorted(middles, rows[:, position])
            # Ranks in the place of products, which many columns would make too large.
            ranks = np.unique(np.concatenate([codes, found]))
            codes, found = np.searchsorted(ranks, codes), np.searchsorted(ranks, found)
        order = np.argsort(codes)
        return np.asarray(order[np.searchsorted(codes[order], found).clip(0, len(self) - 1)])

    @property
    def middles(self) -> Values:
        """Where a number stops being nearest to one candidate, ``(candidates - 1,)``."""
        grid = self.values[:, 0]
        return np.asarray((grid[1:] + grid[:-1]) / 2)

    def chances(self, spread: Spread) -> Values:
        """Returns how probable a number is to be nearest to each candidate, ``(n, candidates)``."""
        below = np.pad(spread.below(self.middles), ((0, 0), (1, 1)))
        below[:, -1] = 1
        return np.diff(below, axis=1)

    def summary(self, belief: Belief, level: float = 0.9) -> Values:
        """Returns a number's median and the ends of its credible interval.

        Each candidate stands for the values that are nearer to it than to any other: as probable as
        each other, or as the belief's spread has them.

        Args:
            belief: Over a numeric column's grid.
            level: How much of the belief the interval holds.

        Returns:
            ``(3, n)``: median, lower and upper end.
        """
        grid, middles = self.values[:, 0], self.middles
        edges = np.concatenate([[2 * grid[0] - middles[0]], middles, [2 * grid[-1] - middles[-1]]])
        below = belief.chances.cumsum(axis=1)
        ends = np.array([0.5, (1 - level) / 2, (1 + level) / 2])[:, None]
        # Rounding may leave the sum just below one.
        places = (below[None] < ends[:, :, None]).sum(axis=2).clip(0, len(grid) - 1)
        inside = np.take_along_axis(belief.chances[None], places[:, :, None], axis=2)[:, :, 0]
        left = np.take_along_axis(below[None], places[:, :, None], axis=2)[:, :, 0] - inside
        share = ((ends - left) / np.where(inside > 0, inside, 1)).clip(0, 1)
        even = np.asarray(edges[places] + share * np.diff(edges)[places])
        return even if belief.spread is None else self._spread(belief.spread, places, share, even)

    def _spread(
        self, spread: Spread, places: NDArray[np.int64], share: Values, even: Values
    ) -> Values:
        """Returns where shares of cells end, ``(3, n)``; ``even`` where regression is silent."""
        below = np.pad(self.chances(spread).cumsum(axis=1), ((0, 0), (1, 0)))
        low = np.take_along_axis(below[None], places[:, :, None], axis=2)[:, :, 0]
        high = np.take_along_axis(below[None], places[:, :, None] + 1, axis=2)[:, :, 0]
        found = spread.at(low + share * (high - low))
        return np.where((high - low) * len(spread.residuals) < 1, even, found)

    def fill(self, known: Rows) -> Rows:
        """Puts every candidate into every row.

        Args:
            known: ``(n, columns)``.

        Returns:
            ``(n * candidates, columns)``: all candidates of the first row, then of the second.
        """
        filled = np.repeat(known, len(self), axis=0)
        filled[:, self.positions] = np.tile(self.values, (len(known), 1))
        return filled


def is_on(column: Column, encoded: float) -> bool:
    """Tells whether a column of zeros and ones, or of truth values, is on."""
    return column.values[int(encoded)] in ON


def _refuse_many(number: int, schema: Schema) -> None:
    """Refuses more candidates than can be asked about.

    Raises:
        DataError: If there are more than :data:`MOST_CANDIDATES`.
    """
    if number > MOST_CANDIDATES:
        raise DataError(
            f"columns {', '.join(schema.sensitive)}: {number} joint values, more than "
            f"{MOST_CANDIDATES}: infer fewer columns at once, or use fewer bins"
        )


def grid_of(
    schema: Schema, name: str, public: Rows | None, bins: int, *, even: bool = False
) -> Values:
    """Returns the values that stand for a column, sorted, ``(values,)``: its categories, or a grid.

    Args:
        schema: The table's.
        name: The column.
        public: Public rows.
        bins: How many values stand for a number, at most: the medians of parts of equal number.
        even: Whether half of the values shall be spaced evenly.

    Raises:
        DataError: As :meth:`Candidates.of`.
    """
    column = schema.column(name)
    if column.kind == "categorical":
        return np.arange(len(column.values), dtype=np.float64)
    if public is None or not len(public):
        raise DataError(
            f"column {name!r}: numeric, and there are no public rows to tell which values are "
            "usual: give [public] table, or declare it categorical"
        )
    values = public[:, schema.positions([name])[0]]
    if even:
        # Else a far tail is a single part, whose middle is no good guess at anything in it.
        parts = np.linspace(0, 1, 1001)
        low, high = np.quantile(values, [0.005, 0.995])
        values = np.concatenate([np.quantile(values, parts), low + (high - low) * parts])
    grid = np.quantile(values, (np.arange(bins) + 0.5) / bins)
    return np.unique(grid.round() if column.whole else grid)
