"""What a guard needs is little: none of the libraries of audits."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w
from tests.guard.conftest import policy_table

from darkroom.guard.policy import read_policy
from darkroom.guard.stores.registry import open_store

ROOT = Path(__file__).parents[2]
BARE = """
import sys

ABSENT = {"typer", "rich", "jinja2", "markupsafe", "scipy", "tomli_w", "sklearn", "torch", "pandas"}


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"no {name} here", name=name)


sys.meta_path.insert(0, Absent())
from darkroom.commands.main import main

sys.argv[0] = "darkroom"
main()
"""


def bare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as if nothing of audits were installed."""
    return subprocess.run(
        [sys.executable, "-c", BARE, *arguments],
        cwd=folder,
        env={**os.environ, "DARKROOM_GUARD_POLICY": str(folder / "named.toml")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.medium
def test_the_guards_commands_need_nothing_of_audits(tmp_path: Path) -> None:
    table = policy_table(store={"path": str(tmp_path / "g.sqlite"), "create": True})
    policy = tmp_path / "named.toml"
    policy.write_text(tomli_w.dumps(table))
    store = open_store(read_policy(policy))
    store.open()
    store.close()
    told = bare(tmp_path, "guard", "report")  # the policy is named in the environment
    assert told.stderr == ""
    assert "alice" in told.stdout
    refused = bare(tmp_path, "guard", "report", "--run", "runs/any")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "pip install 'darkroom[audit]'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_audits_say_what_they_need_where_the_guard_alone_is_installed(tmp_path: Path) -> None:
    refused = bare(tmp_path, "audit", "plan.toml")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is not installed: run pip install 'darkroom[audit]'" in refused.stderr


def test_the_package_alone_declares_next_to_nothing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert not [
        one for name in ("guard", "redis", "postgres") for one in extras[name] if "audit" in one
    ]
    assert sorted(one.partition(">")[0] for one in project["dependencies"]) == ["numpy", "pydantic"]
