"""Pages of attacks, priors, defences and all else that a registry has by name."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import darkroom
from darkroom.named import Registry
from tools.reference.markup import Row, UndescribedError, page, settings
from tools.reference.meanings import meaning_of, summary_of
from tools.reference.values import code, default, words_for

PACKAGE = Path(darkroom.__file__).parent
MADE = re.compile(r"^[A-Z_]+(?:: [^=\n]+)? = Registry\(", re.MULTILINE)

TITLES = {"defence": "Output defences", "wire": "Wire formats"}
"""Titles that are no plural."""

ILLUSTRATED = Path(__file__).parents[2] / "docs/understand/attacks"
"""Pages that explain attacks on images."""

KINDS = {
    "images": "models of images",
    "tables": "models of tables",
    "text": "language models",
    "verifiers": "verifiers of faces",
    "defenses": "answers",
    "guard": "the guard",
}
"""What a registry's package is called in headings."""

INTRODUCTIONS = {
    "attack": "A plan names an attack in `[[attack]]`. Its other keys there are those below, "
    "beside `prior`, `access`, `k` and `budget`, which every attack has.",
    "prior": "What an attacker knows before asking. A plan names it in `[[attack]] prior`, as a "
    'name or as a table such as `{name = "eigenfaces", components = 60}`.',
    "defence": "An output defence changes an answer before anybody sees it. A plan names it in "
    "`[[defense]]`, the guard's policy too; every attack knows which are in force.",
    "training defence": "A training defence changes how a model learns. A plan names it in "
    "`[[training]]`; the audit trains a model without it and one with it.",
    "judge": "A judge says whether a picture shows the right person. The panel has all three of "
    "Darkroom's own; `[judges] extra` adds others.",
    "target": "The model under attack. `[target]` has a `kind`; one of your own comes as "
    '`kind = "python"` with a `name` from a package, or `load = "module:Class"`.',
    "wire": "A format in which clients ask a model's server and it answers. The guard's policy "
    "names those that it lets through in `[[wire]]`.",
}


class Found(NamedTuple):
    """A registry, and where it is.

    Attributes:
        registry: The registry.
        module: Its module.
        variable: Its name there.
    """

    registry: Registry[Any]
    module: str
    variable: str

    @property
    def of(self) -> str:
        """What its parts are for, in words."""
        package = self.module.split(".")[1]
        if self.variable == "TABLE_DEFENSES":
            return "answers of tables"
        if self.variable == "MATCH_DEFENSES":
            return "match scores of verifiers"
        if self.variable == "LOGPROB_DEFENSES":
            return "log-probabilities of language models"
        return KINDS.get(package, package)


def registries() -> list[Found]:
    """Finds every registry of the package by looking for where they are made."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if not MADE.search(path.read_text(encoding="utf-8")):
            continue
        name = ".".join(["darkroom", *path.relative_to(PACKAGE).with_suffix("").parts])
        module = importlib.import_module(name)
        found += [
            Found(value, name, variable)
            for variable, value in vars(module).items()
            if isinstance(value, Registry) and _made_in(path, variable)
        ]
    return found


def _made_in(path: Path, variable: str) -> bool:
    text = path.read_text(encoding="utf-8")
    return re.search(rf"^{variable}(?:: [^=\n]+)? = Registry\(", text, re.MULTILINE) is not None


def pages_of_parts() -> Iterator[tuple[str, str]]:
    """Yields the name and the text of each page, one for each sort of part."""
    every = registries()
    for what in dict.fromkeys(one.registry.what for one in every):
        alike = [one for one in every if one.registry.what == what]
        if what not in INTRODUCTIONS:
            raise UndescribedError(f"say in INTRODUCTIONS what a {what} is")
        shown: set[type] = set()
        blocks = [block for one in alike for block in _of_registry(one, shown)]
        title = TITLES.get(what, f"{what}s".capitalize())
        yield f"{what.replace(' ', '-')}s.md", page(title, INTRODUCTIONS[what], *blocks)


def _of_registry(found: Found, shown: set[type]) -> Iterator[str]:
    """Yields a heading for a registry, and a section for each part that has none yet."""
    registry = found.registry
    yield f"## {f'{registry.what}s'.capitalize()} for {found.of}"
    own = [kind for kind in registry.own.values() if kind not in shown]
    repeated = [name for name, kind in registry.own.items() if kind in shown]
    if repeated:
        yield "All of the above: " + ", ".join(f"`{name}`" for name in repeated) + "."
    for kind in own:
        shown.add(kind)
        name = kind.name
        summary = summary_of(kind)
        if not summary:
            raise UndescribedError(f"{kind.__qualname__} has no docstring")
        yield f"### `{name}`"
        yield _facts(registry, kind)
        yield summary
        if (ILLUSTRATED / f"{name}.md").exists() and found.of == KINDS["images"]:
            yield f"[How it works, with a picture](../understand/attacks/{name}.md)."
        yield settings(parameters_of(kind), f"{registry.what} {name}")
    if registry.group:
        base = f"{registry.base.__module__}.{registry.base.__qualname__}"
        yield (
            f"One of your own is a subclass of `{base}`, and comes from a package by the entry "
            f"point `{registry.group}`."
        )


def _facts(registry: Registry[Any], kind: type) -> str:
    """Says what a class tells of itself beside its parameters, such as its access."""
    told = []
    for base in reversed(registry.base.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            value = getattr(kind, name, None)
            if (
                not str(annotation).startswith("ClassVar")
                or name in ("name", "cost", "anywhere")
                or not value
            ):
                continue
            if isinstance(value, Enum):
                value = value.value
            if isinstance(value, str | bool | int):
                shown = value if name == "paper" else code(value).replace('"', "")
                told.append(f"{name.replace('_', ' ')} {shown}")
    return " · ".join(told)


def parameters_of(kind: type) -> list[Row]:
    """Returns the parameters of a part's class.

    Args:
        kind: A dataclass.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    return [
        Row(field.name, words_for(hints[field.name]), _default(field), meaning_of(kind, field.name))
        for field in dataclasses.fields(kind)
        if field.init and not field.metadata.get("hidden")
    ]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return default(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return default(field.default_factory())
    return "required"
