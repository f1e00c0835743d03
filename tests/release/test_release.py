"""What is released: locked with hashes, built alike every time, and listed."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools.release import build, differing, write_bill

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HASHED = [ROOT / "locks/wheel.txt", ROOT / "locks/tests.txt"]


def _pins(lock: Path) -> dict[str, list[str]]:
    """Returns the versions of each distribution, for markers that exclude one another."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def _declared(groups: tuple[str, ...]) -> Iterator[Requirement]:
    project = PROJECT["project"]
    lines = [*project["dependencies"]]
    lines += [line for needs in project["optional-dependencies"].values() for line in needs]
    lines += [line for group in groups for line in PROJECT["dependency-groups"][group]]
    for line in lines:
        wanted = Requirement(line)
        if wanted.name != "darkroom":
            yield wanted


@pytest.mark.parametrize(
    ("lock", "groups"),
    [("wheel.txt", ()), ("tests.txt", ("dev", "docs")), ("versions.txt", ("dev", "docs"))],
)
def test_a_lock_has_all_that_is_declared(lock: str, groups: tuple[str, ...]) -> None:
    pins = _pins(ROOT / "locks" / lock)
    wrong = [
        str(wanted)
        for wanted in _declared(groups)
        if not any(
            wanted.specifier.contains(version, prereleases=True)
            for version in pins.get(canonicalize_name(wanted.name), [])
        )
    ]
    assert not wrong, "run `make lock`"


@pytest.mark.parametrize("lock", HASHED, ids=lambda path: path.name)
def test_a_lock_has_a_hash_for_each(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    assert [one for one in entries if "--hash=sha256:" not in one] == []


def test_what_is_installed_is_what_the_lock_has() -> None:
    locked, installed = _pins(ROOT / "locks/tests.txt"), _pins(ROOT / "locks/versions.txt")
    assert locked == installed


@pytest.mark.parametrize("lock", sorted(ROOT.glob("locks/*.txt")), ids=lambda path: path.name)
def test_a_lock_names_no_place(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert re.search(r"://|^-|@ |/home|/tmp|/work", text, re.MULTILINE) is None


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "src/darkroom/py.typed").exists()


@pytest.mark.slow
def test_built_twice_it_is_the_same_bytes_and_its_bill_lists_what_it_needs(tmp_path: Path) -> None:
    made = build(tmp_path / "first")
    build(tmp_path / "second")
    assert differing(tmp_path / "first", tmp_path / "second") == []
    wheel = next(path for path in made if path.suffix == ".whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "darkroom/py.typed" in archive.namelist()
    bill = json.loads(write_bill(wheel).read_text(encoding="utf-8"))
    listed = {canonicalize_name(component["name"]) for component in bill["components"]}
    assert {canonicalize_name(one.name) for one in _declared(()) if one.marker is None} <= listed
    assert len(bill["dependencies"][0]["dependsOn"]) == len(bill["components"])


def test_files_that_differ_or_are_missing_are_named(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same").write_text("1")
        (tmp_path / folder / "other").write_text(folder)
    (tmp_path / "a/alone").write_text("1")
    assert differing(tmp_path / "a", tmp_path / "b") == ["alone", "other"]
