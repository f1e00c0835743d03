"""Tables of TOML files as pydantic models, and their mistakes in one line."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, Tag, ValidationError, model_validator

from darkroom.errors import PlanError, nearest
from darkroom.files import is_special

LONGEST = 200
"""Characters of a wrong value that a message shows."""


class Section(BaseModel):
    """A table of a file; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PartSection(BaseModel):
    """A part by ``name``, or by ``load``, with parameters of its own; or ``part``, the part itself.

    A name alone may stand for the table, and so may, from Python, the part.

    Attributes:
        name: One of Darkroom's own, or one that an installed package brings.
        load: Instead of a name: the class, as ``module:Class``, from the plan's folder, the
            working folder or what is installed.
        part: From Python, the part itself.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str | None = None
    part: Any = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        # What TOML can hold is no part.
        plain = isinstance(value, int | float | list | Mapping | BaseModel)
        return value if plain else {"part": value}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        self._require_one_way()
        return self

    def _require_one_way(self) -> None:
        if sum(way is not None for way in (self.name, self.load, self.part)) != 1:
            raise ValueError('give a name, or load = "module:Class"')

    @property
    def load(self) -> str | None:
        """Where the class is, as ``module:Class``; beside a name, ``load`` is a parameter."""
        return None if self.name is not None else (self.model_extra or {}).get("load")

    @property
    def parameters(self) -> dict[str, Any]:
        """All keys that are the part's own."""
        extra = dict(self.model_extra or {})
        return extra if self.name is not None else {k: extra[k] for k in extra if k != "load"}


class PythonSection(PartSection):
    """A ``[target]`` in Python: a class by ``name`` or ``load``, or what a function returns.

    Attributes:
        kind: Tells it from other targets.
    """

    kind: Literal["python"]

    def anchored(self, folder: Path) -> Self:  # noqa: ARG002 - as other targets have it
        """Returns the table as it is: it names no files."""
        return self


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        PlanError: If it cannot be read or is no TOML.
    """
    try:
        table = tomllib.loads(toml_text(path))
    except RecursionError:
        raise PlanError(f"{path}: nested too deep for a file of settings") from None
    except ValueError as error:
        raise PlanError(f"{path}: not valid TOML: {error}") from error
    require_characters(table, str(path))
    return table


def require_characters(value: Any, where: str) -> None:
    """Refuses a NUL character in any word, since no file or name can have one.

    Args:
        value: Tables, lists and words, however nested.
        where: Where they stand, for the message.

    Raises:
        PlanError: If there is one.
    """
    if isinstance(value, str) and "\0" in value:
        raise PlanError(f"{where}: holds a NUL character, which no name can have: remove it")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            require_characters(key, where)
            require_characters(inner, f"{where}: {key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            require_characters(inner, where)


def toml_text(path: Path) -> str:
    """Returns what a TOML file says.

    That is UTF-8; Windows' editors and shells also write it with a byte-order mark, or as UTF-16,
    which has one too.

    Raises:
        PlanError: If it cannot be read or is in another encoding.
    """
    try:
        if is_special(path):
            raise PlanError(f"{path}: no file, but a pipe or a device: save it as a file")
        content = path.read_bytes()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if not wide and 3 < len(content) < 3 * content.count(0):
        raise PlanError(f"{path}: UTF-16 without a byte-order mark: save the file as UTF-8")
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PlanError(
            f"{path}: line {line} is no {'UTF-16' if wide else 'UTF-8'} text: save the file as "
            "UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def explain(
    error: ValidationError,
    kind: type[BaseModel],
    *,
    secret: tuple[str, ...] = ("target.headers", "guarded.headers"),
) -> str:
    """Says in one line what the first mistake in a file is and where.

    Args:
        error: What pydantic found.
        kind: The model of the whole file.
        secret: Beginnings of places whose values are not repeated.
    """
    mistakes = error.errors()
    # A mistyped key leaves the right one missing; the typing mistake is what helps.
    first = next((one for one in mistakes if one["type"] == "extra_forbidden"), mistakes[0])
    steps, _ = _located(kind, first["loc"])
    place = ".".join(str(step) for step in steps)
    if first["type"] == "extra_forbidden":
        _, models = _located(kind, first["loc"][:-1])
        known = {key for model in models for key in model.model_fields}
        return f"unknown key {place}: {nearest(str(first['loc'][-1]), known)}"
    if first["type"] == "target_kind":
        return f"{place}.kind: {first['msg']}"
    if first["type"] == "missing":
        return f"{place} is missing: add it"
    message = first["msg"].removeprefix("Value error, ")
    # What stands in a header may be a key.
    unfit = not place or isinstance(first["input"], Mapping)  # a table may hold a key
    got = "" if place.startswith(secret) or unfit else f", got {_cut(first['input'])}"
    return f"{place}: {message[:1].lower()}{message[1:]}{got}".removeprefix(": ")


def _cut(value: object) -> str:
    """Returns a value as a message shows it: no longer than helps."""
    try:
        shown = repr(value)
    except (RecursionError, ValueError):
        return "something that cannot be shown"
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _located(
    kind: type[BaseModel], place: Sequence[int | str]
) -> tuple[list[int | str], list[type[BaseModel]]]:
    """Returns a place without the tags of unions, which are no keys, and the models there."""
    steps: list[int | str] = []
    models: list[type[BaseModel]] = [kind]
    tags: dict[object, type[BaseModel]] = {}
    for step in place:
        if step in tags:
            models, tags = [tags[step]], {}
            continue
        if isinstance(step, str) and ("[" in step or step in {one.__name__ for one in models}):
            continue  # a member of a union without tags
        steps.append(step)
        if isinstance(step, int):
            continue
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        members = [member for field in fields for member in _members(field.annotation)]
        models = [model for _, model in members]
        tags = {tag: model for tag, model in members if tag is not None}
    return steps, models


def _members(annotation: Any, tag: object = None) -> list[tuple[object, type[BaseModel]]]:
    """Returns the models in a type, however deep in unions and lists, with their tags."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(tag, annotation)]
    parts = get_args(annotation)
    tags = [part.tag for part in parts if isinstance(part, Tag)]
    return [member for part in parts for member in _members(part, *tags)]


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])i?B?", re.IGNORECASE)


def as_bytes(value: Any) -> Any:
    """Returns how many bytes words such as ``4 GB`` mean; anything else as it is.

    >>> as_bytes("1.5 KB"), as_bytes(7)
    (1536, 7)
    """
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper()))
