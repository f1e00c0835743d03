"""Tutorials run, and their pages are those of the notebooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools.tutorials import NOTEBOOKS, PAGES, Part, app_of, names, page_of, parts_of


@pytest.mark.parametrize("name", names())
def test_the_page_has_the_cells_of_the_notebook(name: str) -> None:
    page = (PAGES / f"{name.replace('_', '-')}.md").read_text(encoding="utf-8")
    begin = 0
    for part in parts_of(NOTEBOOKS / f"{name}.py"):
        text = part.text.partition("\n")[2].strip() if begin == 0 else part.text or part.code
        assert text in page[begin:], "run `python -m tools.tutorials`"
        begin = page.index(text, begin) + len(text)


@pytest.mark.parametrize("name", names())
def test_the_page_shows_pictures_and_the_first_page_leads_to_it(name: str) -> None:
    file = f"{name.replace('_', '-')}.md"
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (PAGES / file).read_text(encoding="utf-8"))
    assert pictures
    assert all((PAGES / picture).exists() for picture in pictures)
    assert f"({file})" in (PAGES / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_a_tutorial_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs, _ = app_of(NOTEBOOKS / f"{name}.py").run()
    assert len(outputs) == len(parts_of(NOTEBOOKS / f"{name}.py"))
    assert any(hasattr(one, "savefig") for one in outputs)


@pytest.mark.medium
def test_words_and_code_become_a_page(tmp_path: Path) -> None:
    notebook = tmp_path / "small.py"
    notebook.write_text(
        "import marimo\n\napp = marimo.App()\n\n\n"
        "@app.cell\ndef _():\n    import marimo as mo\n\n"
        '    mo.md("""\n    # Small\n\n    Words.\n    """)\n    return (mo,)\n\n\n'
        "@app.cell\ndef _():\n    a = 1\n    str(a)\n    return (a,)\n"
    )
    parts = parts_of(notebook)
    assert parts == [Part("# Small\n\nWords.", ""), Part("", "a = 1\nstr(a)")]
    outputs, _ = app_of(notebook).run()
    assert outputs[1] == "1"
    page = page_of("small", parts, ["", "```text\n1\n```"])
    assert page.startswith("# Small\n\n<!-- Written by")
    assert page.index("Words.") < page.index("a = 1\nstr(a)\n```\n\n```text\n1\n```")
