"""The page of real secrets shows every field of their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import RunFolder, image_cell
from tests.report.test_every_field import ALIKE, read, unread

from darkroom.report import write_report
from darkroom.text.real.record import RealCell
from darkroom.text.real.secrets_file import write_secrets

__all__ = ["read"]


def share(estimate: float) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate / 2, "high": (1 + estimate) / 2}


def row(line: int) -> dict[str, Any]:
    exposure = {"surprise": 1.0, "bits": 9.0, "low": 8.0, "high": 10.0, "exact": line == 1}
    return {
        "line": line,
        "type": "phone",
        "candidates": 20.0,
        "prompts": 3,
        "best_prompt": "given 1",
        "extracted": line == 1,
        "certain": False,
        "queries": 30,
        "exposure": {**exposure, "before": 1.0, "added": 7.0},
        "written": {"verbatim": share(0.25), "near": 0.5, "half_at": 3.0 if line == 1 else None},
        "p_value": 0.001,
        "p_adjusted": 0.002,
    }


def real_cell() -> dict[str, Any]:
    cell = image_cell(goals=2, hits=1)
    del cell["judges"]
    found = {"continuations": 100, "verbatim": share(0.5), "near": share(0.5)}
    kind = {
        "type": "phone",
        "n": 2,
        "extracted": share(0.5),
        "before": share(0.0),
        "decoys": share(0.0),
        "exposure": 9.0,
        "exposure_before": 1.0,
        "most": 20.0,
        "evident": share(0.5),
        "p_value": 0.01,
        "discoverable": [found],
    }
    details = {
        "threat_model": ["The attacker knows shapes."],
        "attack": {"name": "best-first", "parameters": {"rows": 9}},
        "prior": {"name": "format", "parameters": {}},
        "worst_off": {
            "name": "line 1",
            "p_adjusted": 0.002,
            "sentence": "the phone in line 1.",
            "alone": [0.01, 0.2],
        },
        "types": [kind],
        "secrets": [row(1), row(2)],
        "ways": {"given": 2, "paraphrase": 4},
        "near": 1,
        "based": True,
    }
    return {**cell, "kind": "secrets", "access": "logprobs", "details": details}


@pytest.mark.medium
def test_every_field_is_shown(run: RunFolder, read: set[Any], tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.jsonl"
    rows = [
        {"owner": f"Ann {line}", "secret": f"555-000{line}", "type": "phone"} for line in (1, 2)
    ]
    write_secrets(secrets, rows)
    run.record["target"]["key_file"] = str(secrets)
    run.cells = [real_cell()]
    page = write_report(run.write()).read_text()
    assert unread(RealCell, read, *ALIKE) == set()
    assert "or nearly: 50% at least" in page
    assert "line 2" in page
    assert "Ann 1" not in page
    revealed = write_report(run.path, reveal=True).read_text()
    assert "Ann 1: 555-0001" in revealed
    assert "real secrets and whose they are" in revealed
