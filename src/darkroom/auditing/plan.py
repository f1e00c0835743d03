"""Plans: what to audit, with which attacks, written in TOML.

What plans of every modality share is here; ``image_plan`` and its like add the target and the
data, and ``modalities`` tells by a plan's ``[private]`` table which of them it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.sections import Section as Section
from darkroom.sections import explain
from darkroom.sections import read_toml as read_toml

SLICE = re.compile(r"(\d*):(\d*)")

P = TypeVar("P", bound="BasePlan")


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


class TrainingSection(PriorSection):
    """A training defence by name, with parameters of its own."""


class BasePlan(Section):
    """What plans of every modality have; each modality adds its target and its data."""

    run: RunSection
    attack: Annotated[list[AttackSection], Field(min_length=1)]
    defense: list[DefenseSection] = Field(default_factory=list)
    training: list[TrainingSection] = Field(default_factory=list)
    limit: LimitSection | None = None

    def anchored(self, folder: Path) -> Self:  # noqa: ARG002
        """Returns the plan with the paths of its inputs made relative to a folder."""
        return self

    @model_validator(mode="after")
    def _idle_recipe(self) -> Self:
        if "recipe" in self.model_fields_set and not self.training:
            raise PlanError("[recipe] says how to train, but no [[training]] is to be trained")
        return self

    @property
    def models_folder(self) -> Path:
        """Where the models are kept that the plan trains."""
        return self.run.out / self.run.name / "models"


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
