"""Audits of classifiers of images: photos and model loaded, cells attacked and judged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.auditing.blocks import Blocks
from darkroom.auditing.job import Advance, Arrays, Facts, Job, Model, trained_row
from darkroom.auditing.plan import parse_slice
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import PlanError
from darkroom.images.cell_plan import ImageCellPlan, cell_plans
from darkroom.images.cells import run_cell
from darkroom.images.checks.subject import check_subject
from darkroom.images.course import block, is_cut
from darkroom.images.guarded import reach_guard
from darkroom.images.judging import Bench, set_up_bench
from darkroom.images.models import ImageTrainer
from darkroom.images.plan import ImagePlan, PublicSection
from darkroom.images.record import ImageCell
from darkroom.images.subject import Subject
from darkroom.images.targets.load import open_target
from darkroom.images.training.registry import TRAINING_DEFENSES
from darkroom.named import identity
from darkroom.training.defense import with_control
from darkroom.training.models import GivenModel, TrainedModel
from darkroom.vision.judges.base import Judge
from darkroom.vision.judges.recognisers import JUDGES, own_judges
from darkroom.vision.memory import SHARE
from darkroom.vision.networks.precision import said
from darkroom.vision.photos import Photos, load_photos, trained_rows
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import Materials
from darkroom.vision.reading.classes import class_names
from darkroom.vision.spec import ImageSpec
from darkroom.vision.subject import hold_apart
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.course import Recipe

if TYPE_CHECKING:
    from darkroom.images.targets.http import HttpTarget
    from darkroom.remote.guarded import Endpoint

_LIBRARIES = 600 << 20  # bytes


@dataclass(frozen=True)
class ImageJob(Job[ImagePlan, Subject, ImageCellPlan, Bench]):
    """An audit of a classifier of images; see :class:`Job`."""

    judged_with = ("judges", "judge", "errors", "space")

    def __post_init__(self) -> None:
        """Refuses photos that leave no room for the audit.

        Raises:
            PlanError: If they take so much of the memory allowed.
        """
        subject, memory = self.subject, self.plan.run.memory
        sets = (subject.private, subject.public, subject.strangers)
        # Beside themselves there are a copy in the making, the libraries, and the model's rows.
        needed = sum(2 * one.images.nbytes for one in sets if one is not None) + _LIBRARIES
        if needed > memory * (SHARE - 1) / SHARE:
            least = math.ceil(needed * SHARE / (SHARE - 1) / 2**29) / 2
            raise PlanError(
                f"the photos leave too little of memory = {memory / 2**30:.3g} GB: set [run] "
                f'memory = "{least:g} GB", give fewer photos, or a smaller shape'
            )

    def models(self) -> Sequence[Model[Subject]]:
        """Returns the model that is given, or those to train; see :meth:`Job.models`."""
        plan = self.plan
        if not plan.training:
            return [GivenModel(self.subject)]
        if self.subject.target.access is not Access.WEIGHTS:
            raise PlanError(
                f"[[training]] needs a gradient, and none goes through {self.subject.target.name}: "
                "remove no_grad, detach and NumPy from its forward pass"
            )
        recipe = plan.recipe
        shared = Recipe(recipe.epochs, recipe.batch, recipe.learning_rate, recipe.weight_decay)
        trainer = ImageTrainer(self.subject, shared, recipe.augment, plan.run.seed)
        return [
            TrainedModel(trainer, one, plan.models_folder)
            for one in training_defenses(plan, self.folder)
        ]

    def cells(self) -> Sequence[ImageCellPlan]:
        """Returns every attack against every output defence; see :meth:`Job.cells`."""
        return cell_plans(self.plan, self.subject.target.access, self.folder)

    @cached_property
    def judges(self) -> list[Judge]:
        """The panel's own judges, and those that join them."""
        return judges(self.plan, self.folder)

    @property
    def judged_by(self) -> str:
        """Which judges there are, and how they are trained; see :meth:`Job.judged_by`."""
        return json.dumps([identity(judge) for judge in self.judges])

    def facts(self) -> Facts:
        """Returns what the report says of the model and the photos; see :meth:`Job.facts`."""
        subject, target = self.subject, self.subject.target
        spec, public = target.spec, subject.public
        held_out = int((~subject.trained).sum())
        channels, height, width = spec.shape
        tested = [
            ("Answers", f"{target.access} for {target.classes:,} classes"),
            *([("Found out", f"the model {', '.join(target.notes)}")] if target.notes else []),
            (
                "Input",
                f"{channels} \N{MULTIPLICATION SIGN} {height} \N{MULTIPLICATION SIGN} {width}, "
                f"values {spec.low:g} to {spec.high:g}",
            ),
            *said(getattr(target, "half", None)),
            (
                "Private photos",
                f"{len(subject.private.people):,} of {len(subject.goals):,} people; the model saw "
                f"{self._seen()}; {held_out:,} were kept for the judges{self._left_out()}",
            ),
            (
                "Attacker\N{RIGHT SINGLE QUOTATION MARK}s photos",
                "none"
                if public is None
                else f"{len(public.people):,} of {len(np.unique(public.people)):,} strangers",
            ),
            ("Held apart", self._held_apart()),
            *trained_row(training_defenses(self.plan, self.folder)),
        ]
        about = TargetRecord(
            name=target.name, kind=self.plan.target.kind, range=(spec.low, spec.high)
        )
        return Facts(about, tested)

    def check(self, subject: Subject, advance: Advance) -> Sequence[Check]:
        """Asks whether model and photos are what their owner thinks; see :meth:`Job.check`."""
        return check_subject(subject, advance)

    def _left_out(self) -> str:
        count = self.subject.private.left_out
        return f"; {count:,} files beside them are no photos" if count else ""

    def _seen(self) -> str:
        told, subject = self.plan.private.trained_on, self.subject
        if isinstance(told, str) and ":" in told:
            chosen = subject.private.numbered(parse_slice(told))
            if np.array_equal(chosen, subject.trained):
                return f"photos {told} of each"
        return f"{int(subject.trained.sum()):,} of them"

    def _held_apart(self) -> str:
        strangers = self.subject.strangers
        if strangers is None:
            return "nobody"
        whence = "given" if self.plan.judges.strangers else "taken from the public photos"
        return (
            f"{len(strangers.people):,} photos of {len(np.unique(strangers.people)):,} strangers "
            f"who take part in nothing ({whence})"
        )

    def bench(self, subject: Subject, former: Bench | None, reporter: Reporter) -> Bench:
        """Trains the judges, once for all models, and tests them with each; see the base."""
        plan, share = self.plan, self.plan.run.memory // SHARE
        return set_up_bench(
            subject, plan.run.seed, self.judges, reporter, former, share, plan.shelves
        )

    def fit_prior(self, cell: ImageCellPlan, subject: Subject, advance: Advance) -> ImagePrior:
        """Fits a prior on the public photos; see :meth:`Job.fit_prior`."""
        spec, public = subject.target.spec, subject.public
        photos = np.empty((0, *spec.shape), np.float32) if public is None else public.images
        share = self.plan.run.memory // SHARE
        materials = Materials(photos, spec, cell.seed, self.folder, advance, share, subject.device)
        told = "" if public is None else public.digest()
        words = [told, repr(spec), cell.seed, share, identity(cell.prior), *subject.elsewhere]
        return self.prior_shelf(cell).made(
            f"prior-{cell.prior.name}", words, lambda: cell.prior.build(materials)
        )

    def prior_shelf(self, cell: ImageCellPlan) -> Artefacts:
        """Returns where a prior is kept that photos alone decide; see :meth:`Job.prior_shelf`."""
        return self.plan.shelves.shared if cell.prior.from_photos else NOWHERE

    @cached_property
    def _endpoint(self) -> Endpoint[HttpTarget]:
        """The same model behind the plan's guard, reached when a cell first asks it."""
        return reach_guard(self.plan, self.subject.target)

    def blocks(self, key: str, cell: ImageCellPlan) -> Blocks | None:
        """Cuts a cell of many people; see :meth:`Job.blocks`."""
        size = self.plan.run.block
        if not is_cut(cell, self.subject, size):
            return None
        return Blocks.cut(self.plan.run_folder, key, len(self.subject.goals), size)

    def run_block(
        self,
        cell: ImageCellPlan,
        subject: Subject,
        prior: ImagePrior,
        people: range,
        advance: Advance,
    ) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Attacks a block of people; see :meth:`Job.run_block`."""
        return block(_fitted(cell, subject), subject, prior, people, advance)

    def run_cell(
        self,
        key: str,
        cell: ImageCellPlan,
        subject: Subject,
        prior: ImagePrior,
        bench: Bench,
        advance: Advance,
    ) -> tuple[ImageCell, Arrays]:
        """Attacks all people and judges what comes out; see :meth:`Job.run_cell`."""
        where = None if cell.guarded is None else self._endpoint
        blocks = self.blocks(key, cell)
        cell = _fitted(cell, subject)
        return run_cell(key, cell, subject, prior, bench, advance, where, blocks)


def _fitted(cell: ImageCellPlan, subject: Subject) -> ImageCellPlan:
    """Returns a cell with its defence fitted to a model."""
    return replace(cell, defense=subject.fitted(cell.defense))


def load_job(plan: ImagePlan, plan_path: Path, reporter: Reporter) -> ImageJob:
    """Loads the target and the photos that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    cell_plans(plan, folder=plan_path.parent)
    training_defenses(plan, plan_path.parent)
    judges(plan, plan_path.parent)
    with torch.random.fork_rng(devices=[]):
        # A model that is to be trained begins with the weights that its code draws.
        torch.default_generator.manual_seed(plan.run.seed)
        target = open_target(
            plan.target,
            folder=plan_path.parent,
            authorized_by=plan.run.authorized_by,
            memory=plan.run.memory,
        )
    with reporter.stage("Reading photos") as advance:
        private = _photos(plan.private, target.spec, plan.private.classes)
        advance(1, 2)
        public = None if plan.public is None else _photos(plan.public, target.spec)
        if plan.judges.strangers is None:
            public, strangers = hold_apart(public)
        else:
            resize = plan.private.resize
            strangers = load_photos(plan.judges.strangers, target.spec, resize=resize)
    seen = trained_rows(private, plan.private.trained_on)
    return ImageJob.of_file(plan, plan_path, Subject(target, private, seen, public, strangers))


def _photos(
    section: PublicSection, spec: ImageSpec, classes: Path | Sequence[str] | None = None
) -> Photos:
    return load_photos(
        section.images,
        spec,
        people=None if section.people is None else parse_slice(section.people),
        resize=section.resize,
        black_white=section.range,
        classes=None if classes is None else class_names(classes),
    )


def judges(plan: ImagePlan, folder: Path) -> list[Judge]:
    """Returns the judges of a plan: the panel's own, then those that join them.

    Args:
        plan: The plan.
        folder: Where modules that it names are looked for.

    Raises:
        PlanError: If a name or a parameter is wrong, or two judges have the same name.
    """
    found = [*own_judges(plan.judges.steps)]
    found += [JUDGES.find(one, folder) for one in plan.judges.extra]
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"judges.extra: judge {name} is in the panel already: name others")
    return found


def training_defenses(plan: ImagePlan, folder: Path) -> list[ImageTraining]:
    """Returns the training defences of a plan, without any first; none if it trains nothing.

    Args:
        plan: The plan.
        folder: Where modules that they name are looked for.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    named = [TRAINING_DEFENSES.find(one, folder) for one in plan.training]
    return with_control(Undefended(), named)
