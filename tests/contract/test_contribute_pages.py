"""What the pages for contributors say is so: the files that they name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _places() -> list[str]:
    """Returns the files and folders that the table names, with kinds in the place of patterns."""
    table = re.findall(r"^\|(.+)\|$", (ROOT / "docs/contribute/README.md").read_text(), re.M)[2:]
    found = [one for row in table for one in re.findall(r"`([a-z_*<>/]+(?:\.py|/))`", row)]
    return [one.split("<name>")[0] for one in found if "/" in one]


@pytest.mark.parametrize("place", sorted(set(_places())))
def test_places_that_the_table_names_are_there(place: str) -> None:
    pattern = re.sub(r"<\w+>", "*", place)
    assert any((ROOT / "src/darkroom").glob(pattern)) or any(ROOT.glob(pattern)), place
