"""All generated pages, by their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.reference.commands import page_of_commands
from tools.reference.extras import page_of_extras
from tools.reference.parts import pages_of_parts
from tools.reference.plans import pages_of_plans
from tools.reference.records import page_of_records

FOLDER = Path(__file__).parents[2] / "docs/reference"


def pages() -> Iterator[tuple[Path, str]]:
    """Yields the path and the text of each page."""
    yield FOLDER / "commands.md", page_of_commands()
    yield FOLDER / "extras.md", page_of_extras()
    yield FOLDER / "results.md", page_of_records()
    for name, text in [*pages_of_plans(), *pages_of_parts()]:
        yield FOLDER / name, text
