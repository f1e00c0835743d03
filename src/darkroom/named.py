"""Making attacks, defences and priors from the words of a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from darkroom.errors import PlanError, nearest, require_known

T = TypeVar("T")


def make_named(
    what: str, kinds: Mapping[str, type[T]], name: str, parameters: Mapping[str, Any]
) -> T:
    """Makes an object of the dataclass that a name stands for.

    Args:
        what: The kind of thing, such as ``attack``, for messages.
        kinds: The dataclass of each name.
        name: One of ``kinds``.
        parameters: Fields of the class; the others keep their defaults.

    Raises:
        PlanError: If there is no such name or parameter, or a value is of the wrong type or out
            of its range.
    """
    if name not in kinds:
        raise PlanError(f"no {what} is called {name!r}: {nearest(name, kinds)}")
    kind = kinds[name]
    known = [field.name for field in _shown(kind)]
    require_known(f"{what} {name}", parameters, known)
    try:
        return TypeAdapter(kind).validate_python(dict(parameters))
    except ValidationError as error:
        raise wrong_value(f"{what} {name}", error) from error


def wrong_value(owner: str, error: ValidationError) -> PlanError:
    """Says in one line which value is wrong.

    Args:
        owner: What takes the value, such as ``attack gradient``.
        error: What pydantic found; only its first mistake is told.
    """
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return PlanError(f"{owner}: {place}: {first['msg']}, got {first['input']!r}")


def parameters_of(thing: object) -> dict[str, Any]:
    """Returns the fields of a dataclass instance with their values, as JSON can hold them.

    Fields whose metadata says ``hidden`` are left out: secrets, and what no plan could hold.
    """
    return {field.name: getattr(thing, field.name) for field in _shown(thing)}


def describe(thing: Any) -> str:
    """Writes something named with those of its parameters that are not its usual ones.

    Args:
        thing: An instance of a dataclass with a ``name``, all of whose fields have defaults.
    """
    usual = type(thing)()
    changed = {
        key: value for key, value in parameters_of(thing).items() if value != getattr(usual, key)
    }
    inside = ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in changed.items()
    )
    return f"{thing.name}({inside})" if inside else str(thing.name)


def _shown(thing: object) -> list[dataclasses.Field[Any]]:
    fields = dataclasses.fields(thing)  # type: ignore[arg-type]
    return [field for field in fields if not field.metadata.get("hidden")]
