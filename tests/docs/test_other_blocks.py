"""Commands and plans on pages are those that Darkroom understands."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from tools.blocks import Block, blocks_of

from darkroom.auditing.plan import BasePlan
from darkroom.commands.app import app
from darkroom.commands.guard import guard
from darkroom.guard.policy import Policy
from darkroom.kinds import KINDS, imported

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md")])
COMMANDS = [
    pytest.param(line, id=f"{block.place} {line[:40]}")
    for page in PAGES
    for block in blocks_of(page, "sh", "bash")
    for line in re.sub(r"\\\n\s*", "", block.code).splitlines()
    if line.strip().startswith("darkroom ")
]
TABLES = [
    pytest.param(block, id=block.place) for page in PAGES for block in blocks_of(page, "toml")
]

PLANS: list[Any] = [imported(kind.plan) for kind in KINDS.values()]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_understood(line: str) -> None:
    """Its words are parsed as they would be, and nothing is run."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    if words and words[0] == "guard":
        command, words = guard, words[1:]
    called = ["darkroom"]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words[0]]
        called.append(words.pop(0))
    command.make_context(" ".join(called), words)


@pytest.mark.parametrize("block", TABLES)
def test_tables_are_toml_with_keys_that_there_are(block: Block) -> None:
    table = tomllib.loads(block.code)
    if block.page.name in ("pyproject.toml",) or {"project", "build-system"} & table.keys():
        return
    if {"run", "target", "private", "attack"} <= table.keys():
        _plan(table).model_validate(table)
        return
    known = {key for plan in PLANS for key in plan.model_fields} | Policy.model_fields.keys()
    inside = _keys_of_targets()
    unknown = [key for key in table if key not in known | inside]
    assert not unknown


def _plan(table: dict[str, Any]) -> type[BasePlan]:
    marks = [kind for kind in KINDS.values() if kind.mark in table["private"]]
    plan: type[BasePlan] = imported(marks[0].plan)
    return plan


def _keys_of_targets() -> set[str]:
    """Returns keys of tables that pages show without their heading, such as those of a target."""
    text = (ROOT / "docs/reference/plan-of-images.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
