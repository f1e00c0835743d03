"""Plans: what to audit, with which attacks, written in TOML.

What plans of every modality share is here; ``image_plan`` and its like add the target and the
data, and ``modalities`` tells by a plan's ``[private]`` table which of them it is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from darkroom.access import Access
from darkroom.errors import PlanError, nearest

SLICE = re.compile(r"(\d*):(\d*)")

P = TypeVar("P", bound="BasePlan")


class Section(BaseModel):
    """A table of a plan; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_slice(text: str) -> slice:
    """Turns ``"0:7"`` into a slice; either end may be left out.

    Raises:
        ValueError: If the text is something else, or selects nothing.
    """
    match = SLICE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no slice such as '0:7'")
    start, stop = (int(part) if part else None for part in match.groups())
    if stop is not None and stop <= (start or 0):
        raise ValueError(f"{text!r} selects nothing")
    return slice(start, stop)


def checked_slice(text: str) -> str:
    """Returns the text of a slice as it is; raises as :func:`parse_slice`."""
    parse_slice(text)
    return text


class RunSection(Section):
    """What the run is called, where it goes, and who allowed it.

    With ``naive``, every attack meets every output defence twice: once knowing it, and once taking
    its answers for the model's own.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0)
    out: Path = Path("runs")
    authorized_by: str | None = None
    naive: bool = False


class PriorSection(BaseModel):
    """A prior by name, with parameters of its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """All keys but the name."""
        return dict(self.model_extra or {})


class AttackSection(BaseModel):
    """An attack by name, with its prior, access and budget, and parameters of its own.

    ``access`` is what a query returns to it, its own when left out; ``k`` is how many classes an
    answer of ``top_k`` names; ``budget`` is in rows a goal.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    prior: PriorSection | None = None
    access: Access | None = None
    k: int = Field(default=5, ge=1)
    budget: int | None = Field(default=None, ge=1)

    @field_validator("prior", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @property
    def parameters(self) -> dict[str, Any]:
        """All keys that are the attack's own."""
        return dict(self.model_extra or {})


class LimitSection(Section):
    """What the run's owner accepts."""

    advantage: float = Field(ge=0, le=1)


class DefenseSection(BaseModel):
    """An output defence by name with parameters of its own, or a ``chain`` of several in order."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str | None = None
    chain: list[PriorSection] = []

    @model_validator(mode="after")
    def _one_or_several(self) -> DefenseSection:
        if (self.name is None) != bool(self.chain):
            raise ValueError("give either a name or a chain of tables with names")
        if self.chain and self.model_extra:
            raise ValueError("parameters of a chain stand in its tables")
        return self

    @property
    def links(self) -> list[tuple[str, dict[str, Any]]]:
        """The defences in order, each as a name with its parameters."""
        if self.name is not None:
            return [(self.name, dict(self.model_extra or {}))]
        return [(link.name, link.parameters) for link in self.chain]


class BasePlan(Section):
    """What plans of every modality have; each modality adds its target and its data."""

    run: RunSection
    attack: Annotated[list[AttackSection], Field(min_length=1)]
    defense: list[DefenseSection] = []
    limit: LimitSection | None = None

    def anchored(self, folder: Path) -> Self:  # noqa: ARG002
        """Returns the plan with the paths of its inputs made relative to a folder."""
        return self


def validate(kind: type[P], table: Mapping[str, Any], where: str) -> P:
    """Checks a plan's words.

    Args:
        kind: The modality's plan.
        table: The words.
        where: Where they stand, for the message.

    Raises:
        PlanError: If a key or value is wrong; the message names the place and, for an unknown
            key, the nearest known one.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise PlanError(f"{where}: {explain(error, kind)}") from error
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        PlanError: If it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: not valid TOML: {error}") from error


def explain(error: ValidationError, plan: type[BasePlan]) -> str:
    """Says in one line what the first mistake in a plan is and where."""
    mistakes = error.errors()
    # A mistyped key leaves the right one missing; the typing mistake is what helps.
    first = next((one for one in mistakes if one["type"] == "extra_forbidden"), mistakes[0])
    steps, _ = _located(plan, first["loc"])
    place = ".".join(str(step) for step in steps)
    if first["type"] == "extra_forbidden":
        _, models = _located(plan, first["loc"][:-1])
        known = {key for model in models for key in model.model_fields}
        return f"unknown key {place}: {nearest(str(first['loc'][-1]), known)}"
    if first["type"] == "target_kind":
        return f"{place}.kind: {first['msg']}"
    if first["type"] == "missing":
        return f"{place} is missing: add it"
    message = first["msg"].removeprefix("Value error, ")
    # What stands in a header may be a key.
    got = "" if place.startswith("target.headers") else f", got {first['input']!r}"
    return f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _located(
    plan: type[BasePlan], place: Sequence[int | str]
) -> tuple[list[int | str], list[type[BaseModel]]]:
    """Returns a place without the tags of unions, which are no keys, and the models there."""
    steps: list[int | str] = []
    models: list[type[BaseModel]] = [plan]
    tags: dict[object, type[BaseModel]] = {}
    for step in place:
        if step in tags:
            models, tags = [tags[step]], {}
            continue
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
