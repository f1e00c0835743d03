"""The rules of the house that no other tool checks: sizes, names, descriptions.

Layers, independence and cycles are contracts of import-linter, in ``pyproject.toml``.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src/darkroom", "benchmarks", "examples", "tools")

MOST_MODULES = 15
MOST_LINES = 400
MOST_FUNCTION_LINES = 40
MOST_SIBLINGS = 2
LEAST_WORDS = 4

MAY_NAME_THE_PACKAGE = re.compile(
    r"^\s*(?:import .*\bdarkroom\b(?!\.)|from (?:darkroom|\.\S*) import)", re.MULTILINE
)
"""Lines that may import the package itself: most modules have none, and need not be parsed."""

REASON = "# long: "
"""Begins the comment that says why a file (in its first ten lines) or a function (on the line above
it) is longer than the rest."""


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _folders() -> dict[Path, list[str]]:
    """Returns the names of the modules that each folder has of its own."""
    found: dict[Path, list[str]] = {}
    for path in _modules(*FOLDERS):
        names = found.setdefault(path.parent, [])
        if path.stem != "__init__":
            names.append(path.stem)
    return found


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Counts a function's lines from its name on, without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        text = function.body[0]
        assert text.end_lineno is not None
        lines -= text.end_lineno - text.lineno + 1
    return lines


def _long_parts(code: str) -> list[str]:
    """Names functions that are too long and do not say why, and the file itself by no name."""
    lines = code.splitlines()
    found = []
    if len(lines) >= MOST_LINES and not any(one.startswith(REASON) for one in lines[:10]):
        found.append("")
    for function in _functions(ast.parse(code)):
        first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
        explained = first > 1 and lines[first - 2].lstrip().startswith(REASON)
        if _code_lines(function) >= MOST_FUNCTION_LINES and not explained:
            found.append(function.name)
    return found


def test_no_folder_has_too_many_modules() -> None:
    crowded = {
        _name(folder): len(names)
        for folder, names in _folders().items()
        if len(names) > MOST_MODULES
    }
    assert not crowded, "give what belongs together a folder of its own"


@pytest.mark.medium
def test_files_and_functions_are_short_or_say_why() -> None:
    found = {
        f"{_name(path)}: {part}" if part else _name(path)
        for path in _modules(*FOLDERS)
        for part in _long_parts(path.read_text(encoding="utf-8"))
    }
    assert not found, f"divide them, or say why in a comment {REASON.strip()!r}"


@pytest.mark.medium
def test_a_comment_that_says_why_a_part_is_long_gives_a_reason() -> None:
    empty = [
        f"{_name(path)}:{number}"
        for path in _modules(*FOLDERS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.lstrip().startswith(REASON.strip())
        and len(line.partition(REASON)[2].split()) < LEAST_WORDS
    ]
    assert not empty


def test_every_package_is_described() -> None:
    missing = []
    for folder in _folders():
        if _name(folder).startswith("examples"):
            continue
        init = folder / "__init__.py"
        text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        sentence = text.partition("\n")[0]
        if len(sentence.split()) < LEAST_WORDS or not sentence.endswith("."):
            missing.append(_name(init))
    assert not missing, "say in a sentence what the package holds"


def test_siblings_with_a_prefix_in_common_have_a_folder() -> None:
    shared = {
        f"{_name(folder)}/{prefix}_*": count
        for folder, names in _folders().items()
        for prefix, count in Counter(name.partition("_")[0] for name in names).items()
        if count > MOST_SIBLINGS
    }
    assert not shared, "the prefix is the name of a folder"


def test_modules_named_as_strings_are_imported_where_the_layers_allow_it() -> None:
    """What import-linter cannot see: only public names, kinds, users' code and what was packed."""
    allowed = {
        "src/darkroom/__init__.py",
        "src/darkroom/kinds.py",
        "src/darkroom/imports.py",
        "src/darkroom/auditing/packing.py",  # the classes of what was packed
        "src/darkroom/images/targets/load.py",
    }
    found = {
        _name(path)
        for path in _modules("src/darkroom")
        if any(
            word in path.read_text(encoding="utf-8") for word in ("import_module(", "__import__(")
        )
    }
    assert found <= allowed


def test_no_module_asks_the_package_for_its_public_names() -> None:
    """An import of the package itself would hide that it leads upward."""
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in _modules("src/darkroom")
        if MAY_NAME_THE_PACKAGE.search(text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Import) and any(one.name == "darkroom" for one in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.level > 0 or node.module == "darkroom"))
    ]
    assert not found, "import from the module that has the name, by its full path"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f():\n" + "    x = 1\n" * 39, ["f"]),
        ("def f():\n" + "    x = 1\n" * 38, []),
        ('def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * 38, []),
        ("# long: one thing after another\ndef f():\n" + "    x = 1\n" * 50, []),
        ("# long: one thing after another\n@g\ndef f():\n" + "    x = 1\n" * 50, []),
        ("x = 1\n" * 400, [""]),
        ("# long: a table of numbers\n" + "x = 1\n" * 400, []),
    ],
)
def test_long_parts_are_found(code: str, found: list[str]) -> None:
    assert _long_parts(code) == found
