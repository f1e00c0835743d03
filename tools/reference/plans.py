"""Pages of everything that is written in TOML: plans of each kind, and the guard's policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from darkroom.guard.policy import Policy
from darkroom.kinds import KINDS, imported
from darkroom.sections import PartSection
from tools.reference.markup import Row, page, settings
from tools.reference.meanings import meaning_of, summary_of
from tools.reference.values import code, default, words_for

OWN = {
    "attack": "attacks.md",
    "defense": "defences.md",
    "training": "training-defences.md",
    "wire": "wires.md",
}
"""Tables whose other keys are parameters of a part, and the page that has these."""

TELLING = ("kind", "protocol")
"""Keys that tell which of several tables is meant."""


class Place(NamedTuple):
    """A table of a file.

    Attributes:
        name: Where it stands, such as ``private.columns.NAME``.
        models: What it may be; several where a key tells which.
        repeated: Whether there may be several, as ``[[attack]]``.
        wanted: Whether it must be there.
    """

    name: str
    models: tuple[type[BaseModel], ...]
    repeated: bool = False
    wanted: bool = False

    @property
    def title(self) -> str:
        """Its heading in a file."""
        return f"`[[{self.name}]]`" if self.repeated else f"`[{self.name}]`"


def pages_of_plans() -> Iterator[tuple[str, str]]:
    """Yields the name and the text of each page."""
    for kind in KINDS.values():
        model = imported(kind.plan)
        mark = f"`[private]` with the key `{kind.mark}` makes a plan one of this kind."
        yield (
            f"plan-of-{kind.name}.md",
            page(f"Plan: {kind.name}", summary_of(model), mark, *_blocks(model)),
        )
    words = "What the guard enforces. `darkroom guard check` says whether a policy can be used."
    yield "guard-policy.md", page("The guard's policy", words, *_blocks(Policy))


def _blocks(model: type[BaseModel]) -> Iterator[str]:
    """Yields a section for each table of a file, those within others after these."""
    waiting = list(_tables(model, ""))
    shown: dict[tuple[type[BaseModel], ...], str] = {}
    while waiting:
        place = waiting.pop(0)
        yield f"## {place.title}"
        yield "Required." if place.wanted else ""
        if place.models in shown:
            yield f"As {shown[place.models]}."
            continue
        shown[place.models] = place.title
        yield from _section(place)
        inner = [one for member in place.models for one in _tables(member, f"{place.name}.")]
        waiting = [*dict.fromkeys(inner), *waiting]


def _section(place: Place) -> Iterator[str]:
    if len(place.models) == 1:
        (model,) = place.models
        yield summary_of(model)
        yield settings(_rows(model), place.title)
    else:
        yield from _several(place.title, place.models, ())
    if place.name in OWN:
        yield f"Other keys are the parameters of what is named: see [its page]({OWN[place.name]})."


def _several(
    title: str, models: Sequence[type[BaseModel]], above: Sequence[Row], told: Sequence[str] = ()
) -> Iterator[str]:
    """Yields what tables have in common, and then what each has besides.

    Args:
        title: Of the place.
        models: The tables.
        above: Rows that were shown already.
        told: The keys that tell these tables from others.
    """
    rows = [[row for row in _rows(one) if row not in above] for one in models]
    if len(models) == 1:
        yield summary_of(models[0])
        yield settings(rows[0], title)
        return
    shared = [row for row in rows[0] if all(row in others for others in rows[1:])]
    if shared:
        yield "All of them have:" if not told else f"All with {', '.join(told)} have:"
        yield settings(shared, title)
    next_key = TELLING[len(told)]
    groups: dict[str, list[type[BaseModel]]] = {}
    for model in models:
        groups.setdefault(_choice(model, next_key), []).append(model)
    for choice, members in groups.items():
        yield f"###{'#' * len(told)} {title} with {choice}"
        yield from _several(title, members, [*above, *shared], [*told, choice])


def _choice(model: type[BaseModel], key: str) -> str:
    field = model.model_fields[key]
    values = " or ".join(code(one) for one in get_args(field.annotation))
    return f"`{key} =` {values}"


def _rows(model: type[BaseModel]) -> list[Row]:
    """Returns the keys of a table that are no tables themselves."""
    rows = [
        _row(model, field.alias or name, name, field)
        for name, field in model.model_fields.items()
        if not field.exclude and not _is_table(field)
    ]
    if issubclass(model, PartSection):
        place = next((i + 1 for i, row in enumerate(rows) if row.name == "name"), 0)
        rows.insert(place, Row("load", "text", default(None), meaning_of(model, "load")))
    return rows


def _row(model: type[BaseModel], key: str, name: str, field: FieldInfo) -> Row:
    if _parts_in(field.annotation):
        several = get_origin(field.annotation) is list
        values = "list of names or tables of parts" if several else "name or table of a part"
    else:
        values = words_for(Annotated[field.annotation, *field.metadata, field])
    usual = (
        "required" if field.is_required() else default(field.get_default(call_default_factory=True))
    )
    return Row(key, values, usual, meaning_of(model, name))


def _is_table(field: FieldInfo) -> bool:
    return bool(_models_in(field.annotation))


def _tables(model: type[BaseModel], before: str) -> Iterator[Place]:
    """Yields the tables right in a table."""
    for name, field in model.model_fields.items():
        models = tuple(_models_in(field.annotation))
        if not before and _parts_in(field.annotation):
            models = (PartSection,)
        if not models:
            continue
        outer = get_origin(field.annotation)
        place = f"{before}{name}" + (".NAME" if outer in (dict, Mapping) else "")
        yield Place(place, models, outer is list, field.is_required())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Returns the tables in a type, however deep in unions, lists and tables of names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation is PartSection else [annotation]
    if get_origin(annotation) is Literal:
        return []
    found = [model for one in get_args(annotation) for model in _models_in(one)]
    return list(dict.fromkeys(found))


def _parts_in(annotation: Any) -> bool:
    return annotation is PartSection or any(_parts_in(one) for one in get_args(annotation))
