"""Tables as numbers, split into who was seen and who not, and one that needs no file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, MissingExtraError
from darkroom.tables.schema import Rows, Schema, require_column

if TYPE_CHECKING:
    import pandas as pd

DIABETES = "diabetes"
"""The name of the table that is there without a file."""

Missing = Literal["drop", "keep", "refuse"]


class Encoded(NamedTuple):
    """Rows as numbers with what the model shall predict.

    Attributes:
        rows: ``(n, columns)``.
        response: The true response, encoded as the schema's, ``(n,)``.
        numbers: The place of each row in the table it came from, ``(n,)``.
        dropped: How many rows were left out because a value was missing.
    """

    rows: Rows
    response: NDArray[np.float64]
    numbers: NDArray[np.int64]
    dropped: int


def encode_table(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    missing: Missing = "drop",
    response: bool = True,
    where: str = "table",
) -> Encoded:
    """Encodes a table, and leaves out rows in which a value is missing that is needed.

    Args:
        frame: Has the schema's columns.
        schema: What they are.
        missing: ``drop`` leaves out rows with a missing value in a column that is used; ``keep``
            those alone in which the response is missing, or a column that the attacker does not
            know; ``refuse`` makes the first an error.
        response: Whether the response is needed; without it the encoded response is NaN.
        where: What the table is, for messages.

    Raises:
        DataError: If a column is absent or holds what it may not, or no row is left.
    """
    rows = schema.encode(frame, where)
    truth = np.full(len(frame), np.nan)
    holes = np.isnan(rows)
    if response:
        require_column(frame, schema.response.name, where)
        truth = schema.response.encode(frame[schema.response.name], where)
        holes = np.column_stack([holes, np.isnan(truth)])
    names = [*schema.names, schema.response.name]
    worst = names[int(holes.sum(axis=0).argmax())] if holes.size else ""
    if missing == "keep":
        holes[:, schema.visible] = False
    spoiled = holes.any(axis=1)
    if spoiled.any() and missing == "refuse":
        raise DataError(
            f"{where}: {int(spoiled.sum())} rows have missing values, most in column {worst!r}: "
            "fill them in, or set missing = 'drop'"
        )
    kept = np.flatnonzero(~spoiled)
    if not len(kept) or np.isnan(rows[kept]).all(axis=0).any():
        raise DataError(
            f"{where}: no row is complete; column {worst!r} misses most: leave that column out"
        )
    return Encoded(rows[kept], truth[kept], kept, int(spoiled.sum()))


@dataclass(frozen=True)
class TableData:
    """A table with its split: who the model has seen, who not, and what is public.

    Attributes:
        schema: What the columns are.
        members: Rows that the model was trained on.
        others: Rows of the same kind that it was not trained on; maybe none.
        public: Rows that the attacker may have; disjoint from both.
    """

    schema: Schema
    members: Encoded
    others: Encoded
    public: Encoded

    def digest(self) -> str:
        """Returns a hash of all rows, as hexadecimal digits."""
        digest = hashlib.sha256(repr(self.schema).encode())
        for part in (self.members, self.others, self.public):
            digest.update(np.ascontiguousarray(part.rows).tobytes())
            digest.update(np.ascontiguousarray(part.response).tobytes())
        return digest.hexdigest()


def take(encoded: Encoded, chosen: NDArray[np.int64]) -> Encoded:
    """Returns some of the rows, by place."""
    return Encoded(
        encoded.rows[chosen], encoded.response[chosen], encoded.numbers[chosen], encoded.dropped
    )


def load_diabetes_table() -> pd.DataFrame:
    """Returns scikit-learn's diabetes data: 442 patients, nothing is downloaded.

    Columns are in their own units, ``sex`` is ``1`` or ``2`` as in the source (Efron et al. 2004,
    which does not say which is which), and ``progression`` is the disease's a year later.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "tables") from error
    table = load_diabetes(as_frame=True, scaled=False)
    frame = table.data.rename(columns=DIABETES_NAMES)
    frame["sex"] = frame["sex"].astype(int).astype(str)
    return frame.assign(progression=table.target)


DIABETES_NAMES = {
    "bp": "pressure",
    "s1": "cholesterol",
    "s2": "ldl",
    "s3": "hdl",
    "s4": "ratio",
    "s5": "triglycerides",
    "s6": "glucose",
}
