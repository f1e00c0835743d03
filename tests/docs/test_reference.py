"""The reference says all that there is, and its pages are those that the code makes now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import typer
from pydantic import BaseModel
from tools.reference.markup import NOTICE, Row, UndescribedError, settings
from tools.reference.meanings import markdown, meaning_of, summary_of
from tools.reference.pages import FOLDER, pages
from tools.reference.parts import parameters_of, registries
from tools.reference.values import NONE, default, words_for

import darkroom
from darkroom.commands.app import app
from darkroom.commands.audits import STATUS
from darkroom.commands.ending import INTERRUPTED, MISTAKE, OURS, STATUSES
from darkroom.guard.policy import Policy
from darkroom.kinds import KINDS, imported

MADE = dict(pages())


def _on(page: str) -> str:
    return MADE[FOLDER / page]


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_each_page_is_as_the_code_has_it(path: Path) -> None:
    on_disk = path.read_text(encoding="utf-8") if path.exists() else ""
    assert on_disk == MADE[path], f"{path.name} is of other code: run `make reference`"


def test_no_page_is_left_of_what_is_gone() -> None:
    left = {one for one in FOLDER.glob("*.md") if NOTICE in one.read_text(encoding="utf-8")}
    assert left == MADE.keys()


@pytest.mark.parametrize("found", registries(), ids=lambda found: found.variable)
def test_every_part_that_has_a_name_is_there_with_its_parameters(found: object) -> None:
    registry = found.registry  # type: ignore[attr-defined]
    page = _on(f"{registry.what.replace(' ', '-')}s.md")
    for name, kind in registry.own.items():
        assert f"`{name}`" in page
        section = page.partition(f"### `{name}`\n")[2]
        assert all(f"| `{row.name}` |" in section for row in parameters_of(kind))


def _commands(called: str, command: object) -> Iterator[str]:
    yield called
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{called} {name}", inner)


def test_every_command_and_status_is_there() -> None:
    page = _on("commands.md")
    for called in list(_commands("darkroom", typer.main.get_command(app)))[1:]:
        assert f"## `{called}`" in page
    assert {*STATUS.values(), MISTAKE, OURS, INTERRUPTED} == STATUSES.keys()
    assert all(meaning in page for meaning in STATUSES.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_of_a_plan_is_there(kind: str) -> None:
    page = _on(f"plan-of-{kind}.md")
    for name in imported(KINDS[kind].plan).model_fields:
        assert f"## `[{name}]`" in page or f"## `[[{name}]]`" in page


def test_every_table_of_a_policy_is_there() -> None:
    page = _on("guard-policy.md")
    for name in Policy.model_fields:
        assert f"## `[{name}]`" in page or f"## `[[{name}]]`" in page or f"`{name}`" in page


def test_every_public_name_is_on_the_page_of_python() -> None:
    page = (FOLDER / "python.md").read_text(encoding="utf-8")
    missing = [name for name in darkroom.__all__ if f".{name}\n" not in page]
    assert not missing


def test_the_first_page_leads_to_every_other() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    others = {path.name for path in FOLDER.glob("*.md")} - {"README.md"}
    assert {name for name in others if f"({name})" not in index} == set()


@dataclass(frozen=True)
class _Half:
    """Half described.

    Attributes:
        told: Above 0; see :class:`a.b.C`
            and ``d``.
    """

    name: ClassVar[str] = "half"

    told: int = 1
    untold: int = 2


def test_what_is_not_described_is_refused() -> None:
    with pytest.raises(UndescribedError, match="untold is not described"):
        settings(parameters_of(_Half), "attack half")


def test_docstrings_become_markdown() -> None:
    assert summary_of(_Half) == "Half described."
    assert meaning_of(_Half, "told") == "Above 0; see `C` and `d`."
    assert markdown("Differences:\n    - one\n    - two") == "Differences:\n\n- one\n- two"


class _Model(BaseModel):
    pass


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "`true` or `false`"),
        (int | None, "whole number"),
        (list[str], "list of: text"),
        (tuple[float, float], "list: number, number"),
        (dict[str, int], "table of names, each with: whole number"),
        (Path, "path"),
        (_Model, "table"),
    ],
)
def test_types_become_words(annotation: object, words: str) -> None:
    assert words_for(annotation) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, NONE), (True, "`true`"), (8 << 20, "8 MiB"), (4 << 30, "4 GiB"), (0.5, "`0.5`")],
)
def test_defaults_are_written_as_toml_has_them(value: object, words: str) -> None:
    assert default(value) == words


def test_bars_in_a_cell_do_not_end_it() -> None:
    assert "a \\| b" in settings([Row("k", "a | b", NONE, "told")], "here")
