"""What the page about one's own secrets shows is accepted as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from darkroom.access import LanguageAccess
from darkroom.commands.app import app
from darkroom.kinds import read_plan
from darkroom.text.cell_plan import text_cell_plans
from darkroom.text.real.plan import RealPlan
from darkroom.text.real.secrets_file import read_secrets
from darkroom.text.real.shapes import formats_of

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "own-secrets.md"


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^( *)```{kind}\n(.*?)^\1```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [dedent(text) for _, text in found]


def test_its_files_and_its_plan_are_read(tmp_path: Path) -> None:
    for suffix in ("jsonl", "csv"):
        (text,) = blocks(suffix)
        path = tmp_path / f"secrets.{suffix}"
        path.write_text(text)
        path.chmod(0o600)
        secrets = read_secrets(path)
        assert all(one.size > 1000 for one in formats_of(secrets, "page"))
    (text,) = blocks("toml")
    (tmp_path / "plan.toml").write_text(text)
    plan = read_plan(tmp_path / "plan.toml")
    assert isinstance(plan, RealPlan)
    assert plan.private.secrets == tmp_path / "secrets.jsonl"
    assert [cell.attack.name for cell in text_cell_plans(plan, LanguageAccess.WEIGHTS)] == [
        "best-first",
        "sampling",
    ]


def test_its_first_command_writes_what_the_audit_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("The phone number of Ada Abbas is +41-61-555-1234.\n")
    command = next(text for text in blocks("bash") if "secrets find" in text)
    done = CliRunner().invoke(app, command.split()[1:])
    assert done.exit_code == 0
    assert "1 name, 1 phone found by" in done.output
    assert "555" not in done.output
    assert {one.type for one in read_secrets(tmp_path / "secrets.jsonl")} == {"name", "phone"}
