"""Every block of Python on a page runs, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.stages import STAGES
from tools.blocks import Block, blocks_of
from tools.newcomer import INSTALL, PATHS, script_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md")])

SLOW = {
    "README.md",
    "docs/start/image.md",
    "docs/start/table.md",
    "docs/start/language-model.md",
    "docs/understand/tables.md",
    "docs/understand/training-defences.md",
}
"""Pages that take seconds, and show what others show too or train models."""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _run(page: Path) -> list[Block]:
    """Returns the blocks of a page that run here; those that are files are the newcomer's."""
    return [one for one in blocks_of(page, "python") if not one.title and not one.reason]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page,
            marks=pytest.mark.slow if _name(page) in SLOW else pytest.mark.medium,
            id=_name(page),
        )
        for page in PAGES
        if _run(page)
    ],
)
def test_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples/extension/src")
    stage = STAGES.get(_name(page))
    names = dict(stage(monkeypatch)) if stage is not None else {}
    for block in _run(page):
        exec(compile(block.code, block.place, "exec"), names)


def test_no_stage_is_left_of_a_page_that_is_gone() -> None:
    assert STAGES.keys() | SLOW <= {_name(page) for page in PAGES}


def test_blocks_that_nothing_runs_give_a_reason() -> None:
    """A file on a start page is written and used by ``make newcomer``; elsewhere nothing does."""
    walked = {f"docs/start/{name}" for name in (INSTALL, *PATHS)}
    idle = [
        block.place
        for page in PAGES
        for block in blocks_of(page, "python")
        if block.title and _name(page) not in walked
    ]
    assert not idle


def test_every_start_page_is_walked() -> None:
    assert {path.name for path in ROOT.glob("docs/start/*.md")} == {INSTALL, *PATHS}


def test_a_block_knows_its_language_its_file_and_why_it_is_not_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```toml title="plan.toml"\na = 1\n```\n\n'
        "<!-- not run: needs a server -->\n\n```sh\nls\n```\n\n"
        "1. A list:\n\n   ```python\n   if a:\n       b()\n   ```\n"
    )
    file, shell, python = blocks_of(page)
    assert (file.language, file.title, file.code, file.reason) == (
        "toml",
        "plan.toml",
        "a = 1\n",
        "",
    )
    assert (shell.language, shell.reason, shell.line) == ("sh", "needs a server", 7)
    assert python.code == "if a:\n    b()\n"


def test_a_page_becomes_a_script_that_names_its_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```toml title="plan.toml"\na = "$HOME"\n```\n\n```sh\ncat plan.toml\n```\n')
    script = script_of(list(blocks_of(page)))
    assert "echo page.md:1 >&3" in script
    assert "cat >plan.toml <<'END OF FILE'\na = \"$HOME\"\nEND OF FILE\n" in script
    assert script.index("page.md:5") < script.index("cat plan.toml\n")
