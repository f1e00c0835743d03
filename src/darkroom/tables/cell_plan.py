"""Which cells a plan of tables comes to: attacks by access level against output defences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from darkroom.access import Access
from darkroom.auditing.cell_plan import CellPlan, crossed
from darkroom.auditing.plan import AttackSection
from darkroom.defenses.effects import UNCHANGED
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import TABLE_DEFENSES, make_pipeline
from darkroom.errors import PlanError
from darkroom.sections import PartSection
from darkroom.tables.attacks.auto import AutoAttack
from darkroom.tables.attacks.base import TableAttack
from darkroom.tables.attacks.registry import TABLE_ATTACKS
from darkroom.tables.plan import TablePlan
from darkroom.tables.priors.build import TABLE_PRIORS, TablePriorConfiguration
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sections import TableHttpSection

TableCellPlan = CellPlan[TableAttack, Access, Pipeline, TablePriorConfiguration]


def expected_queries(cell: TableCellPlan, subject: TableSubject) -> int:
    """Returns the rows a record that the attack of a cell spends at most."""
    told = UNCHANGED if cell.naive else cell.defense.effect
    return cell.attack.expected_queries(subject.candidates, told)


def table_cell_plans(
    plan: TablePlan, folder: Path | None = None, target: TableTarget | None = None
) -> list[TableCellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights sees through output
    defences, so an attack on the weights meets none. An attack that asks also meets the
    guard of a plan with ``guarded``, after all others. Where ``auto`` is told of no access it gets
    the most that the model shows, and beside its defences also what they leave.

    Args:
        plan: The plan.
        folder: Where modules, secrets and files that parts name are looked for; the working folder
            if left out.
        target: The model, which decides what ``auto`` sees; labels alone if left out.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    defenses = [make_pipeline(one.links, folder, registry=TABLE_DEFENSES) for one in plan.defense]

    def cells_of(section: AttackSection, defense: Pipeline) -> Iterator[TableCellPlan]:
        cell = _cell_plan(plan, section, defense, folder)
        if isinstance(cell.attack, AutoAttack) and section.access is None:
            cell = replace(cell, access=_answers(target))
            if not defense.defenses and _is_tree(target):
                yield replace(cell, access=Access.WEIGHTS)
                # What answers alone give is needed beside defences of answers, and not else.
                if not (plan.defense or plan.guarded):
                    return
        if cell.access is Access.WEIGHTS and defense.defenses:
            return
        yield cell
        if plan.run.naive and defense.defenses:
            yield replace(cell, naive=True)

    cells = list(crossed(plan.attack, [Pipeline(), *defenses], cells_of))
    return cells if plan.guarded is None else [*cells, *_behind_guard(plan, plan.guarded, folder)]


def _answers(target: TableTarget | None) -> Access:
    """Returns the most that a model's answers show."""
    return Access.SCORES if target is not None and target.has_scores else Access.LABEL


def _is_tree(target: TableTarget | None) -> bool:
    """Tells whether a model is a single tree that can be looked into."""
    trees = None if target is None else target.trees
    return trees is not None and len(trees.counts) == 1


def _behind_guard(
    plan: TablePlan, guarded: TableHttpSection, folder: Path | None
) -> Iterator[TableCellPlan]:
    """Yields the cells of attacks for which what the guard's model answers is enough."""
    shown = Access.SCORES if guarded.answers == "scores" else Access.LABEL
    for section in plan.attack:
        cell = _cell_plan(plan, section, Pipeline(), folder)
        if isinstance(cell.attack, AutoAttack) and section.access is None:
            cell = replace(cell, access=shown)
        left = min(cell.access, shown, key=lambda one: one.rank)
        if cell.access is not Access.WEIGHTS and left.includes(cell.attack.access):
            yield replace(cell, access=left, guarded=guarded)


def _cell_plan(
    plan: TablePlan, section: AttackSection, defense: Pipeline, folder: Path | None
) -> TableCellPlan:
    attack = TABLE_ATTACKS.find(section, folder)
    access = section.access or attack.access
    if access is Access.TOP_K:
        raise PlanError(
            f"attack {attack.name}: access top_k is not for tables: use scores or label"
        )
    prior = section.prior or PartSection(name="imputation")
    return CellPlan(
        attack=attack,
        access=access,
        defense=defense,
        prior=TABLE_PRIORS.find(prior, folder),
        budget=section.budget,
        seed=plan.run.seed,
    )
