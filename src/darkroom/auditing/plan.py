"""Plans: what to audit, with which attacks, written in TOML.

What plans of every kind share is here; each kind's own ``plan`` adds the target and the data, and
``darkroom.kinds`` tells by a plan's ``[private]`` table which of them it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from darkroom.access import Access
from darkroom.auditing.artefacts import Artefacts, Shelves
from darkroom.errors import PlanError
from darkroom.sections import PartSection, explain, require_characters
from darkroom.sections import Section as Section
from darkroom.sections import read_toml as read_toml

SLICE = re.compile(r"(\d*):(\d*)")

HIGHEST_SEED = 2**32 - 1
"""Libraries take no more."""

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

    Attributes:
        name: Letters, digits, ``.``, ``_`` and ``-``; the run is the folder ``out/name``.
        seed: The same seed gives the same results on the same machine.
        out: The folder of all runs, relative to where the command is started.
        authorized_by: Who allowed the audit: name and role. The report repeats it. A remote target
            is not audited without it.
        naive: Whether every attack meets every output defence twice: once knowing it, and once
            taking its answers for the model's own.
        cache: A folder where judges, priors and trained models are kept for other runs; the run's
            own when left out.
        engine: What runs the cells: processes of this machine, or tasks of Ray.
        address: The Ray cluster's, such as ``auto`` or ``ray://head:10001``; Ray starts on this
            machine alone when left out.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED)
    out: Path = Path("runs")
    authorized_by: str | None = None
    naive: bool = False
    cache: Path | None = None
    engine: Literal["processes", "ray"] = "processes"
    address: str | None = None

    @model_validator(mode="after")
    def _ray_alone(self) -> Self:
        if self.engine != "ray" and self.address is not None:
            raise PlanError('[run] address is that of a Ray cluster: set engine = "ray" too')
        if self.engine == "ray" and self.cache is not None:
            raise PlanError(
                '[run] engine = "ray" keeps what is made once in the run\'s own folder: '
                "leave out cache"
            )
        return self


class AttackSection(PartSection):
    """An attack, with its prior, access and budget, and parameters of its own.

    Attributes:
        prior: What it knows before asking.
        access: What a query returns to it; its own when left out, or the most that the target
            shows.
        k: How many classes an answer of ``top_k`` names.
        budget: The most rows that it asks for each goal; no limit when left out.
    """

    prior: PartSection | None = None
    access: Access | None = None
    k: int = Field(default=5, ge=1)
    budget: int | None = Field(default=None, ge=1)


class CheckSection(Section):
    """What to make of the check of the subject.

    Attributes:
        ignore: Names of checks whose failure is put up with.
    """

    ignore: list[str] = Field(default_factory=list)


class LimitSection(Section):
    """What the run's owner accepts; more is a leak.

    Attributes:
        advantage: The advantage of an attack.
        bits: How far an attack may narrow down the truth; no limit of its own when left out.
        worst_off: Whether one person, group or secret that stands out is a leak.
    """

    advantage: float = Field(default=0.0, ge=0, le=1)
    bits: float | None = Field(default=None, ge=0)
    worst_off: bool = True


class DefenseSection(PartSection):
    """An output defence, or several in order.

    Attributes:
        chain: Instead of a name: several defences in order, each a table.
    """

    chain: list[PartSection] = Field(default_factory=list)

    def _require_one_way(self) -> None:
        if not self.chain:
            super()._require_one_way()
        elif self.name is not None or self.part is not None:
            raise ValueError("give either a name or a chain of tables with names")
        elif self.model_extra:
            raise ValueError("parameters of a chain stand in its tables")

    @property
    def links(self) -> Sequence[PartSection]:
        """The defences in order."""
        return self.chain or [self]


class BasePlan(Section):
    """What plans of every kind have; each kind adds its data.

    With ``guarded``, attacks that ask also ask the same model behind a guard. What that table
    leaves out is as ``[target]`` has it where that is a server too; and it asks one row at a time,
    so that an attacker spends a budget to its last row.

    Attributes:
        guard_kind: The kind of target that a guard stands before.
        guard_shares: Keys of ``[target]`` that ``[guarded]`` has alike, wherever the model is.
    """

    guard_kind: ClassVar[str] = "http"
    guard_shares: ClassVar[tuple[str, ...]] = ()

    run: RunSection
    attack: Annotated[list[AttackSection], Field(min_length=1)]
    defense: list[DefenseSection] = Field(default_factory=list)
    training: list[PartSection] = Field(default_factory=list)
    check: CheckSection = CheckSection()
    limit: LimitSection | None = None
    target: Any
    guarded: Any = None

    def anchored(self, folder: Path) -> Self:  # noqa: ARG002
        """Returns the plan with the paths of its inputs made relative to a folder."""
        return self

    @model_validator(mode="before")
    @classmethod
    def _like_the_target(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        target, guarded = table.get("target"), table.get("guarded")
        if not (isinstance(target, dict) and isinstance(guarded, dict)):
            return table
        remote = target.get("kind") == cls.guard_kind
        shared = {key: target[key] for key in target if remote or key in cls.guard_shares}
        usual = {"kind": cls.guard_kind, "concurrency": 1}
        usual |= {"batch": 1} if cls.guard_kind == "http" else {}
        return {**table, "guarded": {**shared, **usual, **guarded}}

    @model_validator(mode="after")
    def _behind_a_guard(self) -> Self:
        if self.guarded is None:
            return self
        if self.guarded.kind != self.guard_kind:
            raise PlanError(
                f'[guarded] is a server: remove its kind, or set kind = "{self.guard_kind}"'
            )
        if self.training:
            raise PlanError(
                "[guarded] serves one model, and [[training]] makes several: audit them apart"
            )
        shared = [k for k in self.guard_shares if hasattr(self.target, k)]
        if any(getattr(self.guarded, k) != getattr(self.target, k) for k in shared):
            same = " and ".join(self.guard_shares)
            raise PlanError(f"[guarded] is the model of [target]: give both the same {same}")
        return self

    @model_validator(mode="after")
    def _leave(self) -> Self:
        remote = self.guarded is not None or self.target.kind == self.guard_kind
        # A served model cannot be trained, which is said first.
        if remote and not self.training and not (self.run.authorized_by or "").strip():
            raise PlanError(
                "a remote target is audited only with leave: set [run] authorized_by = "
                '"name and role"'
            )
        return self

    @model_validator(mode="after")
    def _idle_recipe(self) -> Self:
        if "recipe" in self.model_fields_set and not self.training:
            raise PlanError("[recipe] says how to train, but no [[training]] is to be trained")
        return self

    @property
    def models_folder(self) -> Path:
        """Where the models are kept that the plan trains."""
        return (self.run.cache or self.run_folder) / "models"

    @property
    def shelves(self) -> Shelves:
        """Where judges, priors and measurements are kept."""
        kept = Artefacts(self.run_folder / "artefacts")
        return Shelves(kept if self.run.cache is None else Artefacts(self.run.cache), kept)

    @property
    def claims_folder(self) -> Path:
        """Where the processes that share the run tell one another what they do."""
        return self.run_folder / "claims"

    @property
    def run_folder(self) -> Path:
        """Where the run is."""
        return self.run.out / self.run.name


def validate(kind: type[P], table: Mapping[str, Any], where: str) -> P:
    """Checks a plan's words.

    Args:
        kind: The kind's plan.
        table: The words.
        where: Where they stand, for the message.

    Raises:
        PlanError: If a key or value is wrong; the message names the place and, for an unknown
            key, the nearest known one.
    """
    require_characters(table, where)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise PlanError(f"{where}: {explain(error, kind)}") from error
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from error
