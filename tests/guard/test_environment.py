"""A policy's keys and a command's options from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w
from tests.guard.conftest import policy_table
from typer.testing import CliRunner

from darkroom.commands.app import app
from darkroom.errors import PlanError
from darkroom.guard.policy import Policy, read_policy, with_environment


def read(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Policy:
    path = folder / "guard.toml"
    path.write_text(tomli_w.dumps(policy_table()))
    for name, value in variables.items():
        monkeypatch.setenv(f"DARKROOM_GUARD__{name}", value)
    return read_policy(path)


def test_the_environment_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = read(
        tmp_path,
        monkeypatch,
        LIMITS__AT_ONCE="128",
        UPSTREAM__URL="http://model:8080",
        UPSTREAM__FORWARD='["x-trace"]',
        METRICS__PORT="9000",
        GUARD__SHADOW="false",
    )
    assert (made.limits.at_once, made.upstream.url) == (128, "http://model:8080")
    assert (made.upstream.forward, made.guard.model) == (["x-trace"], "tiny")
    assert made.metrics is not None
    assert made.metrics.port == 9000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LIMITS__AT_ONEC", "did you mean 'DARKROOM_GUARD__LIMITS__AT_ONCE'"),
        ("LIMIT__BODY", "names no key"),
        ("CLIENT__NAME", "names no key"),
        ("BUDGET__ROWS", "names no key"),
        ("SHADOW", "names no key"),
    ],
)
def test_a_variable_that_names_no_key_is_refused(name: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        with_environment({}, {f"DARKROOM_GUARD__{name}": "1"})


def test_a_wrong_value_is_told_as_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlanError, match=r"limits\.at_once"):
        read(tmp_path, monkeypatch, LIMITS__AT_ONCE="many")


def test_options_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path, monkeypatch, STORE__PATH=str(tmp_path / "other.sqlite"))
    monkeypatch.setenv("DARKROOM_GUARD_POLICY", str(tmp_path / "guard.toml"))
    done = CliRunner().invoke(app, ["guard", "init"])
    assert "a new ledger of tiny" in done.output
    assert (tmp_path / "other.sqlite").exists()
    monkeypatch.setenv("DARKROOM_GUARD_PORT", "80000")
    done = CliRunner().invoke(app, ["guard"])
    assert done.exit_code == 2
    assert "80000" in done.output
