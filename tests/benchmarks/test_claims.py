"""What benchmarks print: claims, tables, and both as JSON."""

from __future__ import annotations

import json

import pytest
from benchmarks.claims import Claim, Outcome, Table, show


def test_json_holds_every_figure_of_columns_that_are_called_alike(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table("rates", ("way", "low", "high", "other", "low", "high"), [["a", 1, 2, 3, 4, 5]])
    found = Outcome([Claim("as fast", 1.0, 2.0), Claim("as small", 1.0, None)], [table])
    assert show("speed", found, quick=True, bare=False) == 1
    printed = capsys.readouterr().out
    assert "as small | >= 1 | not measured" in printed
    said = json.loads(printed.splitlines()[-1])
    assert said["tables"] == {
        "rates": {
            "columns": ["way", "low", "high", "other", "low", "high"],
            "rows": [["a", 1, 2, 3, 4, 5]],
        }
    }
    assert [one["holds"] for one in said["claims"]] == [True, False]
