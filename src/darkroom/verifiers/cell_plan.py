"""Which cells a plan of verifiers comes to: attacks by access level against output defences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from darkroom.access import Access, VerifierAccess
from darkroom.auditing.cell_plan import CellPlan, crossed
from darkroom.auditing.plan import AttackSection
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import MATCH_DEFENSES, make_pipeline
from darkroom.errors import PlanError
from darkroom.sections import PartSection
from darkroom.verifiers.attacks.base import Attack
from darkroom.verifiers.attacks.registry import VERIFIER_ATTACKS
from darkroom.verifiers.plan import VerifierPlan
from darkroom.vision.priors.build import PRIORS, PriorConfiguration

VerifierCellPlan = CellPlan[Attack, VerifierAccess, Pipeline, PriorConfiguration]


def cell_plans(
    plan: VerifierPlan,
    most: VerifierAccess = VerifierAccess.WEIGHTS,
    folder: Path | None = None,
) -> list[VerifierCellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack on scores meets no defence and every defence that leaves it scores. Who has
    templates sees through what is done to scores, and who sees decisions alone sees no scores.

    Args:
        plan: The plan.
        most: The most that the verifier shows.
        folder: Where modules that parts name are looked for; the working folder if left out.

    Raises:
        PlanError: If a name or a parameter is wrong, or the verifier shows an attack too little.
    """
    defenses = [make_pipeline(one.links, folder, registry=MATCH_DEFENSES) for one in plan.defense]

    def cells_of(section: AttackSection, defense: Pipeline) -> Iterator[VerifierCellPlan]:
        cell = _cell_plan(plan, section, defense, most, folder)
        if not defense.defenses:
            yield cell
        elif cell.access is VerifierAccess.SCORE and defense.effect.leaves is not Access.LABEL:
            yield cell
            if plan.run.naive:
                yield replace(cell, naive=True)

    return list(crossed(plan.attack, [Pipeline(), *defenses], cells_of))


def _cell_plan(
    plan: VerifierPlan,
    section: AttackSection,
    defense: Pipeline,
    most: VerifierAccess,
    folder: Path | None,
) -> VerifierCellPlan:
    attack = VERIFIER_ATTACKS.find(section, folder)
    access = VerifierAccess(section.access or attack.access)
    if not (access.includes(attack.access) and most.includes(access)):
        given = access if most.includes(access) else most
        raise PlanError(
            f"attack {attack.name} needs {attack.access}, but is given {given}: choose another "
            "attack, such as evolution"
        )
    return CellPlan(
        attack=attack,
        access=access,
        defense=defense,
        prior=PRIORS.find(section.prior or PartSection(name="eigenfaces"), folder),
        budget=section.budget,
        seed=plan.run.seed,
    )
