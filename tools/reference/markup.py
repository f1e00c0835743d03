"""Tables and headings of generated pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

NOTICE = (
    "<!-- Written by `python -m tools.reference` from the code. Change the code, not this page. -->"
)


class Row(NamedTuple):
    """One key of a table of settings.

    Attributes:
        name: The key.
        values: Which values it takes.
        default: What it holds when it is left out.
        meaning: What it is for.
    """

    name: str
    values: str
    default: str
    meaning: str


class UndescribedError(Exception):
    """A part of the code says nothing of itself that a page could show."""


def page(title: str, *blocks: str) -> str:
    """Joins a page's blocks."""
    return "\n\n".join([f"# {title}", NOTICE, *filter(None, blocks)]) + "\n"


def settings(rows: Sequence[Row], where: str) -> str:
    """Lays keys out as a table.

    Args:
        rows: The keys.
        where: Whose they are, for the message.

    Raises:
        UndescribedError: If one has no meaning.
    """
    for row in rows:
        if not row.meaning:
            raise UndescribedError(
                f"{where}: {row.name} is not described: name it under Attributes in the docstring"
            )
    body = [(f"`{row.name}`", row.values, row.default, row.meaning) for row in rows]
    return table(("key", "values", "default", "meaning"), body) if body else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a Markdown table; bars in cells are kept from ending them."""
    lines = [_line(headings), "|" + "---|" * len(headings)]
    return "\n".join([*lines, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
