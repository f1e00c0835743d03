"""What is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OURS = frozenset(["darkroom", "tests", "tools", "benchmarks", "inversion_extras"])

NOT_IMPORTED = {
    "accelerate": "transformers spreads models over devices with it",
    "face-recognition-models": "a folder of models, which dlib reads",
    "httptools": "uvicorn parses HTTP with it",
    "sniffio": "httpcore looks for it at every request",
    "tzdata": "zoneinfo reads it where the system has no time zones",
    "uvloop": "uvicorn runs on it",
}
"""What is declared though no module names it, and why."""

PART_OF = {
    "pydantic-core": "pydantic",
    # All of OpenTelemetry is in one module, and these come with what is declared of it.
    "opentelemetry-exporter-http-transport": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-common": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-proto-common": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-proto": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-semantic-conventions": "opentelemetry-sdk",
}
"""Distributions that come with another in the one version that fits."""

NOT_INSTALLED = {
    "art": "adversarial-robustness-toolbox",
    "dlib": "dlib-bin",
    "jax": "jax",
    "jax2onnx": "jax2onnx",
    "keras": "keras",
    "ray": "ray",
}
"""Modules of benchmarks whose names tell nothing of the distributions, which tests lack."""


def _normal(name: str) -> str:
    """Returns a distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions(requirements: Iterable[str]) -> set[str]:
    """Returns the distributions that requirements name, without our own."""
    names = {re.split(r"[\s\[<>=!~;]", one, maxsplit=1)[0] for one in requirements}
    return {_normal(name) for name in names} - OURS


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _declared(*extras: str) -> set[str]:
    """Returns what the package needs, with extras and those that they name in turn."""
    project = _project()["project"]
    found = _distributions(project["dependencies"])
    for extra in extras:
        requirements = project["optional-dependencies"][extra]
        found |= _distributions(requirements)
        for own in re.findall(r"darkroom\[([\w,-]+)\]", " ".join(requirements)):
            found |= _declared(*own.split(","))
    return found


def _groups(*names: str) -> set[str]:
    return {one for name in names for one in _distributions(_project()["dependency-groups"][name])}


@cache
def _imported(folder: str) -> frozenset[str]:
    """Returns the top-level names that modules import anywhere, but for Python's and our own."""
    return frozenset(_named(folder))


def _named(folder: str) -> Iterator[str]:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [node.module]
            else:
                continue
            tops = {name.partition(".")[0] for name in names}
            yield from tops - OURS - sys.stdlib_module_names


@cache
def _installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def _homes(modules: Iterable[str]) -> set[str]:
    """Returns the distributions of modules; a module that is not installed stands for itself."""
    known = {name: [home] for name, home in NOT_INSTALLED.items()} | dict(_installed())
    found = {_normal(one) for module in modules for one in known.get(module, [module])}
    return {PART_OF.get(one, one) for one in found}


@pytest.mark.medium
def test_what_the_package_imports_is_declared() -> None:
    extras = _project()["project"]["optional-dependencies"]
    assert _homes(_imported("src")) <= _declared(*extras)


@pytest.mark.medium
def test_what_the_package_declares_is_imported() -> None:
    extras = _project()["project"]["optional-dependencies"]
    assert _declared(*extras) - _homes(_imported("src")) == NOT_IMPORTED.keys()


@pytest.mark.medium
def test_what_tests_import_is_declared() -> None:
    extras = _project()["project"]["optional-dependencies"]
    assert _homes(_imported("tests")) <= _declared(*extras) | _groups("dev")


@pytest.mark.medium
def test_what_benchmarks_and_examples_import_is_declared() -> None:
    extras = _project()["project"]["optional-dependencies"]
    known = _declared(*extras) | _groups("dev", "bench")
    assert _homes(_imported("benchmarks")) <= known
    # Tutorials are notebooks.
    assert _homes(_imported("examples")) <= known | _groups("docs")


@pytest.mark.medium
def test_what_tools_import_is_declared() -> None:
    extras = _project()["project"]["optional-dependencies"]
    assert _homes(_imported("tools")) <= _declared(*extras) | _groups("docs")


def test_every_extra_is_in_all() -> None:
    # spaCy, which finding asks for, is as large as all the rest of text, and wants a model too.
    # Ray is as large, and only clusters need it.
    extras = set(_project()["project"]["optional-dependencies"]) - {"all", "finding", "ray"}
    assert _declared("all") == _declared(*extras)
