"""Plans: what to audit, with which attacks, written in TOML."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from darkroom.errors import PlanError, nearest
from darkroom.targets.sections import TARGET_SECTIONS, TargetSection

SLICE = re.compile(r"(\d*):(\d*)")


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


def _checked_slice(text: str) -> str:
    parse_slice(text)
    return text


class RunSection(Section):
    """What the run is called, where it goes, and who allowed it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0)
    out: Path = Path("runs")
    authorized_by: str | None = None


class PublicSection(Section):
    """What the attacker may know: photos of other people."""

    images: Path
    people: str | None = None
    resize: bool = False

    _people = field_validator("people")(lambda text: text and _checked_slice(text))


class PrivateSection(PublicSection):
    """The truth, which judges and metrics alone see."""

    trained_on: str = ":"

    _trained_on = field_validator("trained_on")(_checked_slice)


class PriorSection(BaseModel):
    """A prior by name, with parameters of its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """All keys but the name."""
        return dict(self.model_extra or {})


class AttackSection(BaseModel):
    """An attack by name, with its prior, its budget and parameters of its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    prior: PriorSection = PriorSection(name="mean")
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


class Plan(Section):
    """A whole plan."""

    run: RunSection
    target: TargetSection
    private: PrivateSection
    public: PublicSection | None = None
    attack: Annotated[list[AttackSection], Field(min_length=1)]
    limit: LimitSection | None = None


def read_plan(path: Path) -> Plan:
    """Reads a plan and makes the paths in it relative to its folder.

    ``out`` stays relative to the working folder.

    Args:
        path: A TOML file.

    Raises:
        PlanError: If the file is missing or no TOML, or a key or value is wrong; the message names
            the place and, for an unknown key, the nearest known one.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: not valid TOML: {error}") from error
    try:
        plan = Plan.model_validate(table)
    except ValidationError as error:
        raise PlanError(f"{path}: {explain(error)}") from error
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error
    if plan.target.kind == "http" and not (plan.run.authorized_by or "").strip():
        raise PlanError(
            f"{path}: a remote target is audited only with leave: set [run] authorized_by = "
            '"name and role"'
        )
    return _anchor(plan, path.parent)


def explain(error: ValidationError) -> str:
    """Says in one line what the first mistake in a plan is and where."""
    mistakes = error.errors()
    # A mistyped key leaves the right one missing; the typing mistake is what helps.
    first = next((one for one in mistakes if one["type"] == "extra_forbidden"), mistakes[0])
    place = ".".join(str(part) for part in _without_kind(first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        return f"unknown key {place}: {nearest(str(first['loc'][-1]), known)}"
    if first["type"] == "target_kind":
        return f"{place}.kind: {first['msg']}"
    if first["type"] == "missing":
        return f"{place} is missing: add it"
    message = first["msg"].removeprefix("Value error, ")
    # What stands in a header may be a key.
    got = "" if place.startswith("target.headers") else f", got {first['input']!r}"
    return f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _without_kind(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Takes the kind of target, which is no key, out of a place."""
    return (place[0], *place[2:]) if place[:1] == ("target",) else place


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    """Returns the keys of the section at ``place``."""
    if place and place[0] == "target":
        return list(TARGET_SECTIONS[str(place[1])].model_fields)
    sections: dict[str, type[BaseModel]] = {
        "run": RunSection,
        "private": PrivateSection,
        "public": PublicSection,
        "limit": LimitSection,
    }
    return list((sections[str(place[0])] if place else Plan).model_fields)


def _anchor(plan: Plan, folder: Path) -> Plan:
    """Makes the plan's paths to inputs relative to its folder."""

    def moved(section: Any, *names: str) -> Any:
        paths = {name: getattr(section, name) for name in names}
        return section.model_copy(
            update={name: folder / path for name, path in paths.items() if path is not None}
        )

    return plan.model_copy(
        update={
            "target": plan.target.anchored(folder),
            "private": moved(plan.private, "images"),
            "public": moved(plan.public, "images") if plan.public else None,
        }
    )
