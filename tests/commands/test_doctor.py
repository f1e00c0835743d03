"""What is installed and what is missing is told without importing it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata

import pytest
from typer.testing import CliRunner

from darkroom.commands.app import app
from darkroom.commands.doctor import FEATURES, features


def without(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None]
) -> Callable[[str], str]:
    """Pretends that libraries are of other versions, or missing."""
    real = metadata.version

    def version(name: str) -> str:
        told = versions.get(name, "")
        if told is None:
            raise metadata.PackageNotFoundError(name)
        return told or real(name)

    monkeypatch.setattr(metadata, "version", version)
    return version


def test_every_extra_has_a_line() -> None:
    extras = set(metadata.metadata("darkroom").get_all("Provides-Extra") or ())
    assert extras - {"all"} <= set(FEATURES)


@pytest.mark.medium
def test_what_is_missing_or_too_old_is_named_for_every_feature_that_wants_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, {"torch": None, "uvicorn": "0.1"})
    found = {one.name: one for one in features()}
    assert "torch is missing" in found["vision"].wanting
    assert "torch is missing" in found["tables"].wanting  # which asks for vision
    assert any(one.startswith("uvicorn is 0.1, wanted >=") for one in found["guard"].wanting)
    assert found["guard"].remedy == "pip install 'darkroom[guard]'"


@pytest.mark.medium
def test_all_is_well_here() -> None:
    found = {one.name: one for one in features()}
    assert not found["vision"].wanting
    assert not found["vision"].remedy


@pytest.mark.medium
def test_it_prints_a_table_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, {"redis": None})
    printed = CliRunner().invoke(app, ["doctor"])
    assert printed.exit_code == 0
    assert "redis is missing" in printed.output
    assert "pip install 'darkroom[redis]'" in printed.output
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert told["machine"]["darkroom"] == metadata.version("darkroom")
    assert [one["name"] for one in told["features"]] == list(FEATURES)
