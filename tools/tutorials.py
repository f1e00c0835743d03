"""``python -m tools.tutorials [NAME ...]``: runs tutorials and writes them as pages.

A tutorial is a notebook of marimo, which is a module of Python: ``marimo edit
examples/tutorials/image.py`` opens it.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "examples/tutorials"
PAGES = ROOT / "docs/tutorials"
PICTURES = ROOT / "docs/images/tutorials"
NOTICE = "<!-- Written by `python -m tools.tutorials` from examples/tutorials/{name}.py. -->"


class Part(NamedTuple):
    """A cell of a notebook.

    Attributes:
        text: What it says, in Markdown, if it is words.
        code: What it does, if it is code.
    """

    text: str
    code: str


def parts_of(notebook: Path) -> list[Part]:
    """Reads the cells of a notebook without running it.

    Args:
        notebook: A module of marimo.
    """
    source = notebook.read_text(encoding="utf-8")
    return [
        _part(node, source)
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "_"
    ]


def _part(cell: ast.FunctionDef, source: str) -> Part:
    body = [one for one in cell.body if not isinstance(one, ast.Return)]
    words = _words(body[-1]) if body else None
    if words is not None:
        return Part(inspect.cleandoc(words), "")
    lines = source.splitlines()[body[0].lineno - 1 : body[-1].end_lineno]
    return Part("", inspect.cleandoc("\n".join(["", *lines])))


def _words(statement: ast.stmt) -> str | None:
    """Returns what ``mo.md`` is called with, if that is all that a statement does."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "mo.md":
        return str(ast.literal_eval(call.args[0]))
    return None


def page_of(name: str, parts: Sequence[Part], shown: Sequence[str]) -> str:
    """Writes a notebook as a page.

    Args:
        name: The notebook's.
        parts: Its cells.
        shown: What each came to, in Markdown; empty for nothing.
    """
    title, _, rest = parts[0].text.partition("\n")
    how = f"`marimo edit examples/tutorials/{name}.py` opens this page as a notebook."
    blocks = [title, NOTICE.format(name=name), rest.strip(), how]
    for part, one in zip(parts[1:], shown[1:], strict=True):
        code = f"<!-- not run: the notebook is, as a whole -->\n\n```python\n{part.code}\n```"
        blocks += [part.text or code, one]
    return "\n\n".join(filter(None, blocks)) + "\n"


def write(name: str) -> Path:
    """Runs a notebook and writes its page and pictures.

    Args:
        name: The notebook's.

    Raises:
        Exception: Whatever a cell raises.
    """
    notebook = NOTEBOOKS / f"{name}.py"
    outputs, _ = app_of(notebook).run()
    page = page_of(name, parts_of(notebook), list(_shown(name, outputs)))
    PAGES.mkdir(parents=True, exist_ok=True)
    path = PAGES / f"{name.replace('_', '-')}.md"
    path.write_text(page, encoding="utf-8")
    return path


def app_of(notebook: Path) -> Any:
    """Imports a notebook and returns its application."""
    specification = importlib.util.spec_from_file_location(f"tutorial_{notebook.stem}", notebook)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.app


def _shown(name: str, outputs: Sequence[Any]) -> Iterator[str]:
    """Yields what each cell came to, in Markdown; figures go into files."""
    pictures = 0
    for one in outputs:
        if isinstance(one, str):
            yield f"```text\n{one}\n```"
        elif hasattr(one, "savefig"):
            pictures += 1
            file = f"{name.replace('_', '-')}-{pictures}.png"
            PICTURES.mkdir(parents=True, exist_ok=True)
            one.savefig(PICTURES / file, dpi=110, bbox_inches="tight", metadata={"Software": None})
            label = one.get_label() or "What the code above draws"
            yield f"![{label}](../images/tutorials/{file})"
        else:
            yield ""


def names() -> list[str]:
    """Returns the names of all tutorials."""
    return sorted(path.stem for path in NOTEBOOKS.glob("*.py"))


if __name__ == "__main__":
    for chosen in sys.argv[1:] or names():
        print(write(chosen).relative_to(ROOT))
