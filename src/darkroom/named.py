"""Parts by name: attacks, priors, defences and wire formats, made from the words of a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from darkroom.errors import PlanError, nearest, require_known

T = TypeVar("T")


class Registry(Generic[T]):
    """The parts of one kind, each a dataclass with a ``name`` whose fields are its parameters.

    Attributes:
        what: What messages call such a part, as in ``attack``.
        own: Darkroom's own classes by name.
    """

    def __init__(self, what: str, *own: type[T]) -> None:
        """Files classes under their names.

        Args:
            what: What messages call such a part.
            own: Darkroom's own classes.
        """
        self.what = what
        self.own: dict[str, type[T]] = {_name(kind): kind for kind in own}

    def make(self, name: str, parameters: Mapping[str, Any]) -> T:
        """Makes a part.

        Args:
            name: The part's.
            parameters: Fields of its class; the others keep their defaults.

        Raises:
            PlanError: If there is no such name or parameter, or a value is of the wrong type or
                out of its range.
        """
        if name not in self.own:
            raise PlanError(f"no {self.what} is called {name!r}: {nearest(name, self.own)}")
        kind, owner = self.own[name], f"{self.what} {name}"
        require_known(owner, parameters, [field.name for field in _shown(kind)])
        try:
            return TypeAdapter(kind).validate_python(dict(parameters))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PlanError(f"{owner}: {place}: {first['msg']}, got {first['input']!r}") from error


def parameters_of(part: object) -> dict[str, Any]:
    """Returns the fields of a dataclass instance with their values, as JSON can hold them.

    Fields whose metadata says ``hidden`` are left out: secrets, and what no plan could hold.
    """
    return {field.name: to_jsonable_python(getattr(part, field.name)) for field in _shown(part)}


def describe(part: object) -> str:
    """Writes a part with those of its parameters that are not its usual ones.

    Args:
        part: An instance of a dataclass with a ``name``.
    """
    changed = {
        field.name: value
        for field in _shown(part)
        if (value := getattr(part, field.name)) != _usual(field)
    }
    inside = ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in changed.items()
    )
    return f"{_name(part)}({inside})" if inside else _name(part)


def _name(part: object) -> str:
    return str(part.name)  # type: ignore[attr-defined]


def _usual(field: dataclasses.Field[Any]) -> object:
    """Returns what a field holds unless it is told otherwise."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _shown(part: object) -> list[dataclasses.Field[Any]]:
    fields = dataclasses.fields(part)  # type: ignore[arg-type]
    return [field for field in fields if not field.metadata.get("hidden")]
