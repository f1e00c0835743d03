"""Which cells a plan of text comes to: attacks by access level against output defences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from darkroom.access import LanguageAccess
from darkroom.auditing.cell_plan import CellPlan, crossed
from darkroom.auditing.plan import AttackSection, DefenseSection
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.defenses.registry import LOGPROB_DEFENSES
from darkroom.errors import PlanError
from darkroom.named import parameters_of
from darkroom.sections import PartSection
from darkroom.text.attacks.base import SecretAttack
from darkroom.text.attacks.registry import SECRET_ATTACKS
from darkroom.text.plan import TextPlan
from darkroom.text.targets.sections import OpenAISection


@dataclass(frozen=True)
class AnswersDefense:
    """What log-probabilities pass before they leave: one defence, or none.

    Attributes:
        one: The defence.
    """

    one: LogprobDefense | None = None

    @property
    def name(self) -> str:
        """What reports call it."""
        if self.one is None:
            return "none"
        inside = ", ".join(f"{k}={v}" for k, v in parameters_of(self.one).items())
        return f"{self.one.name}({inside})"

    @property
    def effect(self) -> Effect:
        """What it does to what an attacker learns of an answer."""
        return UNCHANGED if self.one is None else self.one.effect

    @property
    def defenses(self) -> tuple[LogprobDefense, ...]:
        """It, if there is one."""
        return () if self.one is None else (self.one,)


@dataclass(frozen=True)
class FormatPrior:
    """What an attacker knows of a secret before asking: its format, and nothing else."""

    name: ClassVar[str] = "format"


TextCellPlan = CellPlan[SecretAttack, LanguageAccess, AnswersDefense, FormatPrior]


def text_cell_plans(
    plan: TextPlan, most: LanguageAccess, folder: Path | None = None
) -> list[TextCellPlan]:
    """Checks every attack and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights, or sees text alone,
    meets none that changes log-probabilities. An attack that asks also meets the guard of a plan
    with ``guarded``, after all others.

    Args:
        plan: The plan.
        most: The most that the target gives.
        folder: Where modules that parts name are looked for; the working folder if left out.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """

    def cells_of(section: AttackSection, defense: AnswersDefense) -> Iterator[TextCellPlan]:
        cell = _cell_plan(plan, section, defense, most, folder)
        if not defense.defenses:
            yield cell
        elif cell.access in (LanguageAccess.LOGPROBS, LanguageAccess.TOP_K):
            yield cell
            if plan.run.naive:
                yield replace(cell, naive=True)

    defenses = [AnswersDefense(), *(_defense(table, folder) for table in plan.defense)]
    cells = list(crossed(plan.attack, defenses, cells_of))
    return cells if plan.guarded is None else [*cells, *_behind_guard(plan, plan.guarded, folder)]


def _behind_guard(
    plan: TextPlan, guarded: OpenAISection, folder: Path | None
) -> Iterator[TextCellPlan]:
    """Yields the cells of attacks for which what the guarded endpoint tells is enough."""
    shown = LanguageAccess.TOP_K if guarded.top_logprobs else LanguageAccess.SAMPLES
    if guarded.scoring != "none":
        shown = LanguageAccess.LOGPROBS
    for section in plan.attack:
        cell = _cell_plan(plan, section, AnswersDefense(), shown, folder)
        if shown.includes(cell.access):
            yield replace(cell, guarded=guarded)


def _defense(table: DefenseSection, folder: Path | None) -> AnswersDefense:
    if len(table.links) > 1:
        raise PlanError("[[defense]] of a language model: give one, not a chain")
    return AnswersDefense(LOGPROB_DEFENSES.find(table.links[0], folder))


def _cell_plan(
    plan: TextPlan,
    section: AttackSection,
    defense: AnswersDefense,
    most: LanguageAccess,
    folder: Path | None,
) -> TextCellPlan:
    attack = SECRET_ATTACKS.find(section, folder)
    if section.prior not in (None, PartSection(name="format")):
        raise PlanError(f"attack {attack.name}: the prior of a secret is its format: leave it out")
    access = None if section.access is None else LanguageAccess(section.access)
    if access is None:
        # A search uses all that it is given; others have one access that is theirs.
        access = most if attack.access is LanguageAccess.TOP_K else attack.access
        if defense.defenses and access is LanguageAccess.WEIGHTS:
            access = LanguageAccess.LOGPROBS
    return CellPlan(
        attack=attack,
        access=access,
        defense=defense,
        prior=FormatPrior(),
        budget=section.budget,
        seed=plan.run.seed,
    )
