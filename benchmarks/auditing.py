"""Audits that benchmarks run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from darkroom.auditing.record import Cell
from darkroom.runs import audit_plan


def audited(plan: Path, table: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Writes a plan and audits it, without a bar; a run that was stopped goes on.

    Args:
        plan: Where it is written; its folder exists.
        table: What it says.
    """
    plan.write_text(tomli_w.dumps(table), encoding="utf-8")
    return audit_plan(plan, resume=True, progress=False).cells
