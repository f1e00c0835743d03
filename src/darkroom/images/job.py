"""Audits of classifiers of images: photos and model loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from darkroom.access import Access
from darkroom.auditing.plan import AttackSection, PriorSection, parse_slice
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import Facts, FinishedCell, Job
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import make_defense
from darkroom.errors import PlanError
from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.registry import ATTACKS
from darkroom.images.cell_plan import CellPlan
from darkroom.images.cells import run_cell
from darkroom.images.guarded import Endpoint
from darkroom.images.judging import Bench, set_up_bench
from darkroom.images.models import GivenModel, Model, TrainedModel
from darkroom.images.photos import Photos, load_photos
from darkroom.images.plan import ImagePlan, PublicSection
from darkroom.images.priors.base import ImagePrior
from darkroom.images.priors.build import PRIORS, Materials
from darkroom.images.subject import Subject
from darkroom.images.targets.base import ImageSpec
from darkroom.images.targets.load import open_target
from darkroom.images.targets.sections import HttpTable
from darkroom.images.training.base import Recipe, TrainingDefense, Undefended, describe
from darkroom.images.training.registry import TRAINING_DEFENSES


@dataclass(frozen=True)
class ImageJob(Job):
    """An audit of a classifier of images.

    Attributes:
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        command: How to repeat the run.
        subject: The target and the photos; where the plan has trainings, the target is untrained.
        folder: Where the plan's modules are looked for.
    """

    plan: ImagePlan
    plan_text: str
    command: str
    subject: Subject
    folder: Path

    def keys(self, version: str) -> list[str]:
        """Returns the key of every cell; see :meth:`Job.keys`."""
        return [cell.key(model.digest, version) for model, cell in self._cells()]

    def facts(self) -> Facts:
        """Returns what the report says of the model and the photos; see :meth:`Job.facts`."""
        subject, target = self.subject, self.subject.target
        spec, public = target.spec, subject.public
        held_out = int((~subject.trained).sum())
        channels, height, width = spec.shape
        tested = [
            ("Answers", f"{target.access} for {target.classes:,} classes"),
            (
                "Input",
                f"{channels} \N{MULTIPLICATION SIGN} {height} \N{MULTIPLICATION SIGN} {width}, "
                f"values {spec.low:g} to {spec.high:g}",
            ),
            (
                "Private photos",
                f"{len(subject.private.people):,} of {len(subject.goals):,} people; the model saw "
                f"photos {self.plan.private.trained_on} of each; {held_out:,} were kept for the "
                "judges",
            ),
            (
                "Attacker\N{RIGHT SINGLE QUOTATION MARK}s photos",
                "none"
                if public is None
                else f"{len(public.people):,} of {len(np.unique(public.people)):,} strangers",
            ),
        ]
        if self.plan.training:
            names = [describe(defense) for defense in training_defenses(self.plan)]
            tested.append(("Trained by Darkroom", ", ".join(names)))
        about = {"name": target.name, "kind": self.plan.target.kind, "range": [spec.low, spec.high]}
        return Facts(about, tested)

    def run(self, keys: Sequence[str], version: str, reporter: Reporter) -> Iterator[FinishedCell]:
        """Runs cells; those with the same prior share it; see :meth:`Job.run`."""
        priors: dict[str, ImagePrior] = {}
        opened: Model | None = None
        bench: Bench | None = None
        endpoint: Endpoint | None = None
        for key, (model, cell) in zip(self.keys(version), self._cells(), strict=True):
            if key not in keys:
                continue
            if bench is None or model is not opened:
                opened, subject = model, model.open(reporter)
                # The judges are the same for every model; what fools them is found with each.
                panel = None if bench is None else bench.panel
                run, steps = self.plan.run, self.plan.judges.steps
                bench = set_up_bench(subject, run.seed, steps, reporter, panel)
            words = f"{cell.prior!r}"
            if words not in priors:
                priors[words] = self._fit_prior(cell, reporter)
            if cell.guarded is not None and endpoint is None:
                endpoint = Endpoint(self.plan, subject.target)
            where = None if cell.guarded is None else endpoint
            with reporter.stage(cell.title) as advance:
                result, arrays = run_cell(key, cell, subject, priors[words], bench, advance, where)
            yield FinishedCell(key, model.dress(result), arrays)

    def _cells(self) -> list[tuple[Model, CellPlan]]:
        """Returns every attack against every output defence, for each model."""
        cells = cell_plans(self.plan, self.subject.target.access, self.folder)
        return [(model, cell) for model in self.models() for cell in cells]

    def models(self) -> list[Model]:
        """Returns the model that is given, or those to train, the undefended one first."""
        plan = self.plan
        if not plan.training:
            return [GivenModel(self.subject)]
        recipe, folder = plan.recipe, plan.run.out / plan.run.name / "models"
        shared = Recipe(recipe.epochs, recipe.batch, recipe.learning_rate, recipe.weight_decay)
        return [
            TrainedModel(self.subject, defense, shared, recipe.augment, plan.run.seed, folder)
            for defense in training_defenses(plan)
        ]

    def _fit_prior(self, cell: CellPlan, reporter: Reporter) -> ImagePrior:
        spec, public = self.subject.target.spec, self.subject.public
        photos = np.empty((0, *spec.shape), np.float32) if public is None else public.images
        with reporter.stage(f"Fitting prior {cell.prior.name}") as advance:
            return cell.prior.build(Materials(photos, spec, cell.seed, self.folder, advance))


def load_job(plan: ImagePlan, plan_path: Path, reporter: Reporter) -> ImageJob:
    """Loads the target and the photos that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    cell_plans(plan, folder=plan_path.parent)
    training_defenses(plan)
    with torch.random.fork_rng(devices=[]):
        # A model that is to be trained begins with the weights that its code draws.
        torch.default_generator.manual_seed(plan.run.seed)
        target = open_target(
            plan.target, folder=plan_path.parent, authorized_by=plan.run.authorized_by
        )
    with reporter.stage("Reading photos") as advance:
        private = _photos(plan.private, target.spec)
        advance(1, 2)
        public = None if plan.public is None else _photos(plan.public, target.spec)
    seen = private.numbered(parse_slice(plan.private.trained_on))
    return ImageJob(
        plan,
        plan_path.read_text(encoding="utf-8"),
        f"darkroom audit {plan_path.name}",
        Subject(target, private, seen, public),
        plan_path.parent,
    )


def _photos(section: PublicSection, spec: ImageSpec) -> Photos:
    people = None if section.people is None else parse_slice(section.people)
    return load_photos(section.images, spec, people=people, resize=section.resize)


def training_defenses(plan: ImagePlan) -> list[TrainingDefense]:
    """Returns the training defences of a plan, without any first.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    named = [TRAINING_DEFENSES.make(one.name, one.parameters) for one in plan.training]
    return [Undefended(), *(defense for defense in named if defense != Undefended())]


def cell_plans(
    plan: ImagePlan, most: Access = Access.WEIGHTS, folder: Path | None = None
) -> list[CellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights sees through output
    defences, so an attack on the weights meets none. Where a defence leaves an attack too little
    to work with, the strongest attack for what is left stands in, once. So it is behind the guard
    of a plan with ``guarded``, after all others. In a plan with ``naive``,
    every attack meets every defence a second time without being told, unless it sees labels alone
    and they stay: then it would do the same.

    Args:
        plan: The plan.
        most: The most that the target shows.
        folder: Where secrets and files that defences name are; the working folder if left out.

    Raises:
        PlanError: If a name or a parameter is wrong, or the target shows an attack too little.
    """
    defenses = [Pipeline()]
    defenses += [
        Pipeline(tuple(make_defense(name, parameters, folder) for name, parameters in one.links))
        for one in plan.defense
    ]
    cells: list[CellPlan] = []
    behind_guard: list[CellPlan] = []
    for section in plan.attack:
        attack = ATTACKS.make(section.name, section.parameters)
        access = _granted(section, attack, most)
        for defense in defenses:
            if access is Access.WEIGHTS and defense.defenses:
                continue
            left = min(access, defense.leaves, key=lambda one: one.rank)
            plain = _cell_plan(plan, section, attack, access, defense)
            if access is Access.WEIGHTS or left.includes(attack.least_access):
                cells.append(plain)
            else:
                standing_in = _cell_plan(plan, section, AutoAttack(), access, defense)
                if standing_in not in cells:
                    cells.append(standing_in)
            differs = access is not Access.LABEL or not defense.deterministic
            if plan.run.naive and defense.defenses and differs:
                cells.append(replace(plain, naive=True))
        if plan.guarded is not None and access is not Access.WEIGHTS:
            asking = _behind_guard(plan, section, attack, access)
            behind_guard += [asking] if asking not in behind_guard else []
    return [*cells, *behind_guard]


def _behind_guard(
    plan: ImagePlan, section: AttackSection, attack: Attack, access: Access
) -> CellPlan:
    """Returns the cell of an attack, or of what stands in for it, that asks the guard."""
    assert isinstance(plan.guarded, HttpTable)
    left = min(access, Access(plan.guarded.answers), key=lambda one: one.rank)
    chosen = attack if left.includes(attack.least_access) else AutoAttack()
    cell = _cell_plan(plan, section, chosen, left, Pipeline())
    return replace(cell, guarded=plan.guarded)


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
    plan: ImagePlan, section: AttackSection, attack: Attack, access: Access, defense: Pipeline
) -> CellPlan:
    # Whoever has photos of strangers knows more than the average face.
    usual = PriorSection(name="mean" if plan.public is None else "eigenfaces")
    prior = section.prior or usual
    return CellPlan(
        attack=attack,
        access=access,
        k=section.k,
        defense=defense,
        prior=PRIORS.make(prior.name, prior.parameters),
        budget=section.budget,
        seed=plan.run.seed,
        judge_steps=plan.judges.steps,
    )
