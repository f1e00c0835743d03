"""Runs the small plans and returns what their seeds decide."""

from __future__ import annotations

import json
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

from tests.same import images, tables, text
from tests.same.decided import EXPECTED, decided

from darkroom import audit_plan

KINDS = (images, tables, text)
PLANS = {name: kind for kind in KINDS for name in kind.PLANS}


def run(name: str, folder: Path) -> Any:
    """Runs a plan and returns what is decided.

    Args:
        name: Of :data:`PLANS`.
        folder: Where the plan is with all that it names; they are written where they are not.
    """
    if not (folder / f"{name}.toml").exists():
        PLANS[name].write(folder)
    for module in ("same_faces", "same_rows"):
        # One of another folder may have been imported.
        sys.modules.pop(module, None)
    with chdir(folder):
        return decided(audit_plan(Path(f"{name}.toml"), progress=False).results["cells"])


def expected(name: str) -> Any:
    """Returns what is expected of a plan."""
    return json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))


def expect(name: str, cells: Any) -> None:
    """Writes what is expected of a plan, a cell a line."""
    lines = ",\n".join(json.dumps(cell, separators=(",", ":")) for cell in cells)
    (EXPECTED / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
