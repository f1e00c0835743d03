"""A table's columns as private estimators need them: bounded, and made without private rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import PlanError


class PublicTable(NamedTuple):
    """What everybody knows of a table: its columns with their values, and public rows.

    Attributes:
        names: Of the inputs, in the model's order.
        values: The categories of each input; none for numbers.
        classes: The values of the response; none for a number.
        rows: ``(n, columns)``: numbers, and places among the categories.
        response: Of each row, ``(n,)``.
    """

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    classes: tuple[Any, ...]
    rows: NDArray[np.float64]
    response: NDArray[np.float64]

    @property
    def numeric(self) -> list[int]:
        """The places of numbers among the inputs."""
        return [place for place, values in enumerate(self.values) if not values]


class Bounds(NamedTuple):
    """Between what the columns of :func:`encoder_of` lie.

    Attributes:
        low: Of each column.
        high: Of each, above ``low``.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


def bounds_of(
    owner: str, public: PublicTable, low: Sequence[float] | None, high: Sequence[float] | None
) -> Bounds:
    """Bounds the columns that :func:`encoder_of` makes: first one-hot ones, then numbers.

    Args:
        owner: The defence, for messages.
        public: What everybody knows of the table.
        low: Of numeric columns, one for all or one a column; the ends of the public rows when left
            out.
        high: As many.

    Raises:
        PlanError: If there are bounds for another number of columns.
    """
    numbers = public.numeric
    if low is None or high is None:
        rows = public.rows[:, numbers]
        low, high = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
    if len(low) not in (1, len(numbers)):
        raise PlanError(
            f"training defence {owner}: {len(low)} bounds for {len(numbers)} numeric columns: "
            "give one pair for all, or one a column"
        )
    if len(low) == 1:
        low, high = list(low) * len(numbers), list(high) * len(numbers)
    # A number that never changes in public still needs a width.
    high = [max(end, start + 1e-9) for start, end in zip(low, high, strict=True)]
    made = sum(map(len, public.values))
    return Bounds((*[0.0] * made, *low), (*[1.0] * made, *high))


def encoder_of(public: PublicTable) -> Any:
    """Returns what turns a table into numbers without learning anything of its rows."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    words = [place for place, values in enumerate(public.values) if values]
    one_hot = OneHotEncoder(
        categories=[list(public.values[place]) for place in words], sparse_output=False
    )
    return make_column_transformer(
        (one_hot, [public.names[place] for place in words]),
        ("passthrough", [public.names[place] for place in public.numeric]),
    )


def seeded(estimator: Any, seed: int) -> Any:
    """Returns an estimator whose parts that draw have a seed, if they had none."""
    known = estimator.get_params()
    places = [
        place
        for place, value in known.items()
        if value is None and (place == "random_state" or place.endswith("__random_state"))
    ]
    return estimator.set_params(**dict.fromkeys(places, seed))
