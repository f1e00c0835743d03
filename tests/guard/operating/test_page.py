"""What the page for operators shows can be used as it stands."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from tests.guard.conftest import policy_table

from darkroom.commands.guard import guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.wire.registry import make_wires

PAGE = (Path(__file__).parents[3] / "docs/how-to/operating-the-guard.md").read_text(
    encoding="utf-8"
)
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^(?:.*\| )?darkroom guard (\w+ .*)$", PAGE, re.MULTILINE)
HASH = "sha256:" + "0" * 63


@pytest.mark.parametrize("table", TABLES)
def test_policies_on_the_page_are_good(table: str) -> None:
    numbers = iter(range(10))
    filled = re.sub("sha256:…", lambda _: f"{HASH}{next(numbers)}", table)
    told = tomllib.loads(filled)
    groups = [{**one, "groups": ["partners", "trial"]} for one in policy_table()["client"]]
    make_wires(parse_policy({**policy_table(client=groups), **told, **_whole(told)}, "page"))


def _whole(told: dict[str, object]) -> dict[str, object]:
    """Returns what a part of a policy needs besides."""
    clients = policy_table()["client"]
    groups = [{**one, "groups": ["partners", "trial"]} for one in clients]
    return {"client": groups} if "budget" in told else {}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_on_the_page_are_understood(command: str) -> None:
    name, *words = shlex.split(command, comments=True)
    found = guard.commands[name]
    found.make_context(name, words)
