"""Which cells a plan of images comes to: attacks by access level against output defences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from pathlib import Path

from darkroom.access import Access
from darkroom.auditing.cell_plan import CellPlan, crossed
from darkroom.auditing.plan import AttackSection
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import make_pipeline
from darkroom.errors import PlanError
from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.registry import ATTACKS
from darkroom.images.plan import ImagePlan
from darkroom.images.targets.sections import HttpTable, TorchSection
from darkroom.sections import PartSection
from darkroom.vision.memory import SHARE
from darkroom.vision.priors.build import PRIORS, PriorConfiguration

ImageCellPlan = CellPlan[Attack, Access, Pipeline, PriorConfiguration]


def cell_plans(
    plan: ImagePlan, most: Access = Access.WEIGHTS, folder: Path | None = None
) -> list[ImageCellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights sees through output
    defences, so an attack on the weights meets none. Where a defence leaves an attack too little
    to see, the strongest attack for what is left stands in. An attack that asks also meets the
    guard of a plan with ``guarded``, after all others. In a plan with ``naive``,
    attackers who are not told of a defence are tried too, with the attack that they would have
    taken.

    Args:
        plan: The plan.
        most: The most that the target shows.
        folder: Where modules, secrets and files that parts name are looked for; the working folder
            if left out.

    Raises:
        PlanError: If a name or a parameter is wrong, or the target shows an attack too little.
    """
    defenses = [make_pipeline(one.links, folder) for one in plan.defense]
    stood_in: list[ImageCellPlan] = []

    def cells_of(section: AttackSection, defense: Pipeline) -> Iterator[ImageCellPlan]:
        section, attack = _allowed(plan, section, most, folder)
        access = _granted(section, attack, most)
        if access is Access.WEIGHTS and defense.defenses:
            return
        left = min(access, defense.effect.leaves, key=lambda one: one.rank)
        plain = _cell_plan(plan, section, attack, access, defense, folder)
        auto = replace(plain, attack=AutoAttack())
        if access is Access.WEIGHTS or left.includes(attack.least_access):
            yield plain
        elif auto not in stood_in:
            stood_in.append(auto)
            yield auto
        differs = access is not Access.LABEL or not defense.effect.deterministic
        if plan.run.naive and defense.defenses and differs:
            yield replace(plain, naive=True)

    cells = list(crossed(plan.attack, [Pipeline(), *defenses], cells_of))
    if _without_gradient(plan, most):
        # Several attacks on the weights have the same one in their place.
        cells = [cell for place, cell in enumerate(cells) if cell not in cells[:place]]
    for section in plan.attack if plan.guarded is not None else ():
        section, attack = _allowed(plan, section, most, folder)
        access = _granted(section, attack, most)
        if access is not Access.WEIGHTS:
            asking = _behind_guard(plan, section, attack, access, folder)
            cells += [asking] if asking not in cells else []
    return cells


def _behind_guard(
    plan: ImagePlan, section: AttackSection, attack: Attack, access: Access, folder: Path | None
) -> ImageCellPlan:
    """Returns the cell of an attack, or of what stands in for it, that asks the guard."""
    assert isinstance(plan.guarded, HttpTable)
    left = min(access, Access(plan.guarded.answers), key=lambda one: one.rank)
    chosen = attack if left.includes(attack.least_access) else AutoAttack()
    cell = _cell_plan(plan, section, chosen, left, Pipeline(), folder)
    return replace(cell, guarded=plan.guarded)


def _allowed(
    plan: ImagePlan, section: AttackSection, most: Access, folder: Path | None
) -> tuple[AttackSection, Attack]:
    """Returns an attack, or for a module without gradients what does best with scores."""
    attack = ATTACKS.find(section, folder)
    weights = Access.WEIGHTS in (attack.least_access, section.access)
    if not (weights and _without_gradient(plan, most)):
        return section, attack
    stands_in = AutoAttack() if attack.least_access is Access.WEIGHTS else attack
    return section.model_copy(update={"access": None}), stands_in


def _without_gradient(plan: ImagePlan, most: Access) -> bool:
    """Tells whether weights were claimed, and no gradient goes through the module."""
    return isinstance(plan.target, TorchSection) and most is Access.SCORES


def _granted(section: AttackSection, attack: Attack, most: Access) -> Access:
    """Returns what a query returns to an attack: what the plan says, or what the attack likes.

    Raises:
        PlanError: If that is less than the attack needs.
    """
    liked = attack.access if most.includes(attack.access) else most
    access = section.access or liked
    if not access.includes(attack.least_access):
        raise PlanError(
            f"attack {attack.name} needs {attack.least_access}, but is given {access}: choose "
            f"another attack, such as auto"
        )
    return access


def _cell_plan(
    plan: ImagePlan,
    section: AttackSection,
    attack: Attack,
    access: Access,
    defense: Pipeline,
    folder: Path | None,
) -> ImageCellPlan:
    # Whoever has photos of strangers knows more than the average face.
    usual = PartSection(name="mean" if plan.public is None else "eigenfaces")
    share = plan.run.memory // SHARE
    if getattr(attack, "memory", 0) > share and is_dataclass(attack):
        attack = replace(attack, memory=share)
    return CellPlan(
        attack=attack,
        access=access,
        k=section.k,
        defense=defense,
        prior=PRIORS.find(section.prior or usual, folder),
        budget=section.budget,
        seed=plan.run.seed,
    )
