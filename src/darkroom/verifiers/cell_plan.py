"""Which cells a plan of verifiers comes to: attacks by access level against output defences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from darkroom.access import Access, VerifierAccess
from darkroom.auditing.cell_plan import CellPlan, crossed
from darkroom.auditing.plan import AttackSection
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import make_pipeline
from darkroom.errors import PlanError
from darkroom.sections import PartSection
from darkroom.verifiers.attacks.base import Attack
from darkroom.verifiers.attacks.decision import DecisionAttack
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.attacks.registry import VERIFIER_ATTACKS
from darkroom.verifiers.attacks.template import TemplateAttack
from darkroom.verifiers.plan import VerifierPlan
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.registry import VERIFIER_DEFENSES
from darkroom.vision.priors.build import PRIORS, PriorConfiguration

VerifierCellPlan = CellPlan[Attack, VerifierAccess, Pipeline, PriorConfiguration]

_USUAL = {
    VerifierAccess.WEIGHTS: GradientAttack.name,
    VerifierAccess.TEMPLATE: TemplateAttack.name,
    VerifierAccess.SCORE: EvolutionAttack.name,
    VerifierAccess.DECISION: DecisionAttack.name,
}


def cell_plans(
    plan: VerifierPlan,
    most: VerifierAccess = VerifierAccess.WEIGHTS,
    folder: Path | None = None,
) -> list[VerifierCellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack on scores meets no defence and every defence. Where one leaves it decisions alone,
    ``decision`` stands in with as many rows; in a plan with ``naive``, attackers who are not told
    of a defence are tried too, with the attack that they would have taken. Who has templates sees
    through what is done to scores, and who sees decisions alone sees no scores. Who has templates
    that are protected is tried without the keys and with them. An attack on scores or decisions
    also meets the guard of a plan with ``guarded``, after all others.

    Args:
        plan: The plan.
        most: The most that the verifier shows.
        folder: Where modules that parts name are looked for; the working folder if left out.

    Raises:
        PlanError: If a name or a parameter is wrong, or the verifier shows an attack too little.
    """
    defenses = [
        make_pipeline(one.links, folder, registry=VERIFIER_DEFENSES) for one in plan.defense
    ]
    stood_in: list[VerifierCellPlan] = []

    def cells_of(section: AttackSection, defense: Pipeline) -> Iterator[VerifierCellPlan]:
        cell = _cell_plan(plan, section, defense, most, folder)
        if not defense.defenses:
            yield cell
            return
        for told in _told(cell):
            if told not in stood_in:
                stood_in.append(told)
                yield told
        if plan.run.naive and _misleads(cell):
            yield replace(cell, naive=True)

    cells = list(crossed(plan.attack, [Pipeline(), *defenses], cells_of))
    if plan.leak is not None and all(_asks(cell) for cell in cells):
        raise PlanError(
            "[leak] is for attacks on stored templates, and none is planned: add [[attack]] "
            f'name = "{TemplateAttack.name}"'
        )
    if plan.guarded is None:
        return cells
    decides = plan.guarded.answers == "decision"
    asking = [cell for cell in cells if _asks(cell) and not cell.defense.defenses]
    guarded = [
        replace(_by_decisions(cell) if decides else cell, guarded=plan.guarded) for cell in asking
    ]
    return cells + [cell for place, cell in enumerate(guarded) if cell not in guarded[:place]]


def _told(cell: VerifierCellPlan) -> list[VerifierCellPlan]:
    """Returns the cells of an attacker who knows the defence; none where it changes nothing."""
    protected = protection_in(cell.defense) is not None
    if not _asks(cell):
        return [cell, _with_key(cell)] if protected else []
    if cell.defense.effect.leaves is Access.LABEL:
        return [_by_decisions(cell)]
    return [cell] if protected or cell.access is VerifierAccess.SCORE else []


def _misleads(cell: VerifierCellPlan) -> bool:
    """Tells whether an attacker who is not told could take what is seen for something else."""
    protects = [isinstance(one, Protection) for one in cell.defense.defenses]
    if not _asks(cell):
        return any(protects)
    return cell.access is VerifierAccess.SCORE and not all(protects)


def _with_key(cell: VerifierCellPlan) -> VerifierCellPlan:
    """Returns a cell whose attacker knows the keys of the store as well."""
    known = [
        replace(one, key_known=True) if isinstance(one, Protection) else one
        for one in cell.defense.defenses
    ]
    return replace(cell, defense=Pipeline(tuple(known)))


def protection_in(defense: Pipeline) -> Protection | None:
    """Returns what protects the store, if anything does.

    Raises:
        PlanError: If two would.
    """
    found = [one for one in defense.defenses if isinstance(one, Protection)]
    if len(found) > 1:
        raise PlanError(
            f"{defense.name}: a store has one protection: name {found[0].name} or {found[1].name}"
        )
    return found[0] if found else None


def _asks(cell: VerifierCellPlan) -> bool:
    """Tells whether a cell's attacker has nothing but answers of the verifier."""
    return VerifierAccess.SCORE.includes(cell.access)


def _by_decisions(cell: VerifierCellPlan) -> VerifierCellPlan:
    """Returns a cell where decisions alone are seen, with another attack if its own needs more."""
    attack = cell.attack
    if attack.access is not VerifierAccess.DECISION:
        attack = DecisionAttack(rows=attack.expected_queries())
    return replace(cell, attack=attack, access=VerifierAccess.DECISION)


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
            f"attack, such as {_USUAL[given]}"
        )
    return CellPlan(
        attack=attack,
        access=access,
        defense=defense,
        prior=PRIORS.find(section.prior or PartSection(name="eigenfaces"), folder),
        budget=section.budget,
        seed=plan.run.seed,
    )
