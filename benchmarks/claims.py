"""Claims with bars, and how they are printed."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple


class Claim(NamedTuple):
    """Something that the project says of itself.

    Attributes:
        text: The claim, in one line.
        bar: The value that it must reach, or keep below.
        measured: What was found; ``None`` if nothing could be, which is a shortfall.
        at_most: Whether the bar is the largest value allowed instead of the smallest.
    """

    text: str
    bar: float
    measured: float | None
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether what was measured is on the right side of the bar."""
        if self.measured is None:
            return False
        return self.measured <= self.bar if self.at_most else self.measured >= self.bar

    def record(self) -> dict[str, Any]:
        """Returns the claim as JSON has it."""
        sign = "<=" if self.at_most else ">="
        return {
            "claim": self.text,
            "bar": f"{sign} {self.bar:g}",
            "measured": self.measured,
            "holds": self.holds,
        }


class Table(NamedTuple):
    """Figures behind the claims.

    Attributes:
        title: What they are.
        columns: A word for each column.
        rows: As many values in each.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


class Outcome(NamedTuple):
    """What one benchmark found.

    Attributes:
        claims: In the order printed.
        tables: Printed before them.
    """

    claims: list[Claim]
    tables: list[Table]


def machine() -> dict[str, Any]:
    """Returns what the figures were measured on."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }


def show(name: str, outcome: Outcome, *, quick: bool, bare: bool) -> int:
    """Prints tables, claims, and on the last line both as JSON.

    Args:
        name: The benchmark's.
        outcome: What it found.
        quick: Whether it was the smaller version.
        bare: Whether to print the JSON alone.

    Returns:
        The exit status: 0 if every claim holds, else 1.
    """
    claims = [claim.record() for claim in outcome.claims]
    if not bare:
        for table in outcome.tables:
            print(f"{table.title}\n{aligned(table.columns, table.rows)}\n")
        columns = ("claim", "bar", "measured", "holds")
        rows = [
            ["not measured" if claim[one] is None else claim[one] for one in columns]
            for claim in claims
        ]
        print(aligned(columns, rows))
    # Rows are lists, as several columns of a table may be called "low".
    tables = {
        table.title: {"columns": [*table.columns], "rows": [[*row] for row in table.rows]}
        for table in outcome.tables
    }
    document = {
        "benchmark": name,
        "quick": quick,
        "machine": machine(),
        "claims": claims,
        "tables": tables,
    }
    print(json.dumps(document, allow_nan=False))
    return 0 if all(claim.holds for claim in outcome.claims) else 1


def aligned(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a table with columns of even width.

    >>> print(aligned(["claim", "measured"], [["fast", 41.27], ["small", None]]))
    claim | measured
    fast  | 41.3
    small | -
    """
    cells = [list(columns), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def tell(line: str) -> None:
    """Says on standard error what is being done."""
    print(line, file=sys.stderr, flush=True)
