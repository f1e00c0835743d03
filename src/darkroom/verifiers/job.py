"""Audits of verifiers: photos enrolled, people attacked and judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from darkroom.access import VerifierAccess
from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.auditing.job import Advance, Arrays, Facts, Job, Model, trained_row
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import PlanError
from darkroom.named import identity
from darkroom.training.defense import with_control
from darkroom.training.models import GivenModel, TrainedModel
from darkroom.verifiers.cell_plan import VerifierCellPlan, cell_plans, protection_in
from darkroom.verifiers.cells import run_cell
from darkroom.verifiers.checks import check_subject
from darkroom.verifiers.enrolment import (
    chosen_photos,
    enrolled_at,
    names_of,
    photos_in,
    stored_in,
)
from darkroom.verifiers.judging import VerifierBench, set_up_bench
from darkroom.verifiers.leaks import enrolled_templates, leaked_record
from darkroom.verifiers.many_leaked import Attacked, leaking
from darkroom.verifiers.measures.attributes import read_attributes
from darkroom.verifiers.measures.leaked import Enrolled, Values
from darkroom.verifiers.models import EncoderTrainer
from darkroom.verifiers.plan import VerifierPlan
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.record import VerifierCell
from darkroom.verifiers.subject import VerifierSubject, behind
from darkroom.verifiers.targets.base import Encoder
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.load import open_encoder, open_verifier
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.targets.sections import ServedFacesSection
from darkroom.verifiers.training.registry import ENCODER_TRAININGS
from darkroom.vision.judges.base import Judge
from darkroom.vision.judges.recognisers import JUDGES, own_judges
from darkroom.vision.networks.precision import said
from darkroom.vision.photos import Photos, load_photos, located
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import Materials
from darkroom.vision.randomness import OwnRandomness
from darkroom.vision.reading.shapes import shape_of
from darkroom.vision.spec import ImageSpec
from darkroom.vision.subject import hold_apart
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.course import Recipe

# What servers are asked with is installed only where one is asked.
if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.verifiers.targets.http import HttpVerifier


@dataclass(frozen=True)
class VerifierJob(Job[VerifierPlan, VerifierSubject, VerifierCellPlan, VerifierBench]):
    """An audit of a verifier; see :class:`Job`."""

    judged_with = ("judges", "judge")

    def models(self) -> Sequence[Model[VerifierSubject]]:
        """Returns the verifier that is given, or those to train; see :meth:`Job.models`."""
        plan, subject = self.plan, self.subject
        if not plan.training:
            return [GivenModel(subject)]
        embedding = subject.embedding
        if embedding is None or not isinstance(embedding.encoder, TorchEncoder):
            raise PlanError(
                f"[[training]] trains a PyTorch module, and {subject.target.name} is none: let "
                "[target] load return one"
            )
        if not embedding.encoder.differentiable:
            raise PlanError(
                f"[[training]] needs a gradient, and none goes through {subject.target.name}: "
                "remove no_grad, detach and NumPy from its forward pass"
            )
        recipe = plan.recipe
        shared = Recipe(recipe.epochs, recipe.batch, recipe.learning_rate, recipe.weight_decay)
        trainer = EncoderTrainer(
            subject, self._learned, self._at, shared, recipe.augment, plan.run.seed
        )
        return [
            TrainedModel(trainer, one, plan.models_folder)
            for one in training_defenses(plan, self.folder)
        ]

    @cached_property
    def _learned(self) -> Photos:
        """Photos of those from whom encoders learn."""
        path, spec = self.plan.recipe.images, self.subject.spec
        if path is None:
            return self.subject.seen
        return load_photos(path, spec, resize=self.plan.private.resize)

    def _at(self, encoder: Encoder) -> VerifierSubject:
        """Returns the same people at another encoder."""
        old = self.subject
        photos = old.private, old.trained, old.public, old.strangers
        made = enrolled_at(self.plan.target, encoder, photos, encoder.spec, None)
        return made if self.plan.leak is None else leaking(made, self.plan.leak)

    def cells(self) -> Sequence[VerifierCellPlan]:
        """Returns every attack against every output defence; see :meth:`Job.cells`."""
        return cell_plans(self.plan, self.subject.target.access, self.folder)

    @cached_property
    def judges(self) -> list[Judge]:
        """The panel's own judges, and those that join them."""
        extra = [JUDGES.find(one, self.folder) for one in self.plan.judges.extra]
        return [*own_judges(self.plan.judges.steps), *extra]

    @property
    def judged_by(self) -> str:
        """Which judges there are, and how they are trained; see :meth:`Job.judged_by`."""
        return json.dumps([identity(judge) for judge in self.judges])

    def facts(self) -> Facts:
        """Returns what the report says of the verifier and the photos; see :meth:`Job.facts`."""
        subject, target = self.subject, self.subject.target
        spec = subject.spec
        channels, height, width = spec.shape
        tested = [
            ("Template", _template(subject)),
            (
                "Input",
                f"{channels} \N{MULTIPLICATION SIGN} {height} \N{MULTIPLICATION SIGN} {width}, "
                f"values {spec.low:g} to {spec.high:g}",
            ),
            *said(getattr(subject.embedding and subject.embedding.encoder, "half", None)),
            ("Accepts", _accepts(subject, found=not self.plan.training)),
            (
                "Enrolled",
                f"{len(subject.goals):,} people; {int((~subject.trained).sum()):,} other photos of "
                "them were kept for the judges",
            ),
            ("Attacker\N{RIGHT SINGLE QUOTATION MARK}s photos", _people(subject.public)),
            (
                "Strangers who take part in nothing",
                "nobody" if subject.strangers is None else _people(subject.strangers),
            ),
            *self._taught(),
        ]
        about = TargetRecord(
            name=target.name, kind=self.plan.target.kind, range=(spec.low, spec.high)
        )
        return Facts(about, tested)

    def _taught(self) -> list[tuple[str, str]]:
        """Says from whom encoders learn, and how; nothing where none is trained."""
        if not self.plan.training:
            return []
        learned = self._learned
        whose = "enrolled photos" if self.plan.recipe.images is None else "photos"
        on = f"{len(learned.people):,} {whose} of {len(np.unique(learned.people)):,} people: "
        return trained_row(training_defenses(self.plan, self.folder), on)

    def check(self, subject: VerifierSubject, advance: Advance) -> Sequence[Check]:
        """Asks whether verifier and photos are what their owner thinks; see :meth:`Job.check`."""
        return check_subject(subject, advance)

    def bench(
        self, subject: VerifierSubject, former: VerifierBench | None, reporter: Reporter
    ) -> VerifierBench:
        """Trains the judges and tests them; see the base."""
        del former
        return set_up_bench(subject, self.plan.run.seed, self.judges, reporter, self.plan.shelves)

    def fit_prior(
        self, cell: VerifierCellPlan, subject: VerifierSubject, advance: Advance
    ) -> ImagePrior:
        """Fits a prior on the public photos; see :meth:`Job.fit_prior`."""
        photos = subject.public
        spec, device = subject.spec, subject.device
        materials = Materials(photos.images, spec, cell.seed, self.folder, advance, device=device)
        words = [photos.digest(), repr(spec), cell.seed, identity(cell.prior), *subject.elsewhere]
        return self.prior_shelf(cell).made(
            f"prior-{cell.prior.name}", words, lambda: cell.prior.build(materials)
        )

    def prior_shelf(self, cell: VerifierCellPlan) -> Artefacts:
        """Returns where a prior is kept that photos alone decide; see :meth:`Job.prior_shelf`."""
        return self.plan.shelves.shared if cell.prior.from_photos else NOWHERE

    def run_cell(
        self,
        key: str,
        cell: VerifierCellPlan,
        subject: VerifierSubject,
        prior: ImagePrior,
        bench: VerifierBench,
        advance: Advance,
    ) -> tuple[VerifierCell, Arrays]:
        """Attacks all people and judges what comes out; see :meth:`Job.run_cell`."""
        where = None if cell.guarded is None else self._endpoint
        protection, plain = protection_in(cell.defense), subject
        if protection is not None:
            subject = self._behind(subject, protection)
            bench = replace(bench, other_templates=subject.other_templates)
        made, arrays = run_cell(key, cell, subject, prior, bench, advance, where)
        enrolled = None if VerifierAccess.SCORE.includes(cell.access) else self._enrolled(plain)
        if enrolled is None:
            return made, arrays
        embedding, cells = subject.embedding, None
        if embedding is not None and embedding.leak is not None:
            alone = subject.with_leak(embedding.leak.first(1))
            one, _ = run_cell(key, cell, alone, prior, bench, lambda *_: None)
            cells = Attacked(one, made)
        told = leaked_record(subject, protection, enrolled, self._keys, *self._attributes, cells)
        details = made.details.model_copy(update={"store": told})
        return made.model_copy(update={"details": details}), arrays

    def _enrolled(self, subject: VerifierSubject) -> Enrolled | None:
        """Returns templates by which leaks of a store are measured, found out once a verifier."""
        words = subject.target.fingerprint()
        if words not in self._templates:
            self._templates[words] = enrolled_templates(subject)
        return self._templates[words]

    @cached_property
    def _templates(self) -> dict[str, Enrolled | None]:
        """What :meth:`_enrolled` has found out."""
        return {}

    @property
    def _keys(self) -> tuple[int, int]:
        """Of a store that is protected, and of the one that takes its place."""
        drawn = np.random.default_rng([self.plan.run.seed, 12]).integers(2**62, size=2)
        return int(drawn[0]), int(drawn[1])

    @cached_property
    def _attributes(self) -> tuple[dict[str, Values], dict[str, Values]]:
        """Attributes of the people and of public ones, where the plan has them."""
        theirs, public = self.plan.private.attributes, self.plan.public.attributes
        if theirs is None or public is None:
            return {}, {}
        names = names_of(self.subject.private)
        return read_attributes(theirs, names), read_attributes(public, self.subject.public.names)

    def _behind(self, subject: VerifierSubject, protection: Protection) -> VerifierSubject:
        """Returns the verifier with a protected store, found out once."""
        words = repr((subject.target.fingerprint(), protection))
        if words not in self._protected:
            self._protected[words] = behind(subject, protection, self._keys[0])
        return self._protected[words]

    @cached_property
    def _protected(self) -> dict[str, VerifierSubject]:
        """Verifiers whose stores are protected."""
        return {}

    @cached_property
    def _endpoint(self) -> Endpoint[HttpVerifier]:
        """The same verifier behind the plan's guard, reached when a cell first asks it."""
        from darkroom.remote.guarded import Endpoint

        def reach() -> HttpVerifier:
            plan, names = self.plan, names_of(self.subject.private)
            assert plan.guarded is not None
            found = open_verifier(
                plan.guarded,
                self.subject.spec,
                names,
                authorized_by=plan.run.authorized_by,
                ends_with_limit=True,
            )
            found.threshold = self.subject.operating.threshold
            return found.met(self.subject.public.images[:1])

        return Endpoint(reach)


def _template(subject: VerifierSubject) -> str:
    photos = f"{subject.rule} of {int(subject.trained.sum()):,} enrolled photos"
    embedding = subject.embedding
    if embedding is None:
        return f"{photos}; none is seen"
    size, unit = embedding.encoder.size, embedding.metric.unit
    return f"{size:,} numbers, compared by {unit}; {photos}"


def _accepts(subject: VerifierSubject, *, found: bool) -> str:
    """Says from which score on it accepts; of verifiers yet to be trained that is not found."""
    point, metric = subject.operating, subject.target.metric
    if metric is Metric.DECISION:
        return "as the server decides"
    chosen = "as given" if point.wanted is None else f"for {point.wanted:.2%} false accepts"
    if not found and point.wanted is not None:
        return f"{metric.unit}, {chosen}"
    way = "up to" if metric is Metric.EUCLIDEAN else "from"
    return f"{way} {metric.unit} {metric.of_score(point.threshold):.4g}, {chosen}"


def _people(photos: Photos) -> str:
    return f"{len(photos.people):,} of {len(np.unique(photos.people)):,} strangers"


def load_job(plan: VerifierPlan, plan_path: Path, reporter: Reporter) -> VerifierJob:
    """Loads the encoder and the photos that a plan names, and enrols people.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    cell_plans(plan, folder=plan_path.parent)
    training_defenses(plan, plan_path.parent)
    section = plan.target
    spec = ImageSpec.of(section.shape or shape_of(located(plan.private.enrolled)), section.range)
    leave = plan.run.authorized_by
    compares = isinstance(section, ServedFacesSection) and section.answers != "template"
    encoder: Encoder | None = None
    if not compares:
        # An encoder that is to be trained begins with the weights that its code draws.
        with OwnRandomness(plan.run.seed)():
            encoder = open_encoder(section, spec, folder=plan_path.parent, authorized_by=leave)
        spec = encoder.spec
    with reporter.stage("Reading photos") as advance:
        private = photos_in(plan.private, plan.private.enrolled, spec)
        advance(1, 2)
        public: Photos | None = photos_in(plan.public, plan.public.images, spec)
        if plan.judges.strangers is None:
            public, strangers = hold_apart(public)
        else:
            strangers = load_photos(plan.judges.strangers, spec, resize=plan.private.resize)
    assert public is not None
    photos = private, chosen_photos(private, plan.private.enrol), public, strangers
    with reporter.stage("Enrolling people") as advance:
        subject = enrolled_at(section, encoder, photos, spec, leave)
        if plan.leak is not None:
            subject = leaking(subject, plan.leak, stored_in(section, photos[0]))
        advance(1, 1)
    return VerifierJob.of_file(plan, plan_path, subject)


def training_defenses(plan: VerifierPlan, folder: Path) -> list[ImageTraining]:
    """Returns the training defences of a plan, without any first; none if it trains nothing.

    Args:
        plan: The plan.
        folder: Where modules that they name are looked for.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    return with_control(
        Undefended(), [ENCODER_TRAININGS.find(one, folder) for one in plan.training]
    )
