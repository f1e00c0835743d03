"""The page shows what Darkroom says to newcomers' mistakes, word by word."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.reach.wrong.mistakes import as_table, told

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "your-own-model.md"


@pytest.mark.medium
def test_the_page_says_what_darkroom_says() -> None:
    found = list(told())
    assert len(found) == 10
    assert all(one.right for one in found), found
    assert as_table(found) in PAGE.read_text(encoding="utf-8")
