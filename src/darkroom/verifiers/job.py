"""Audits of verifiers: photos enrolled, people attacked and judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from darkroom.auditing.job import Advance, Arrays, Facts, Job, Model
from darkroom.auditing.plan import parse_slice
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import PlanError
from darkroom.named import identity
from darkroom.training.models import GivenModel
from darkroom.verifiers.cell_plan import VerifierCellPlan, cell_plans
from darkroom.verifiers.cells import run_cell
from darkroom.verifiers.checks import check_subject
from darkroom.verifiers.judging import VerifierBench, set_up_bench
from darkroom.verifiers.plan import EnrolledSection, FacesSection, VerifierPlan
from darkroom.verifiers.record import VerifierCell
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.load import open_encoder
from darkroom.vision.judges.base import Judge
from darkroom.vision.judges.recognisers import JUDGES, own_judges
from darkroom.vision.photos import Photos, load_photos, located
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import Materials
from darkroom.vision.reading.shapes import shape_of
from darkroom.vision.spec import ImageSpec
from darkroom.vision.subject import hold_apart


@dataclass(frozen=True)
class VerifierJob(Job[VerifierPlan, VerifierSubject, VerifierCellPlan, VerifierBench]):
    """An audit of a verifier; see :class:`Job`."""

    def models(self) -> Sequence[Model[VerifierSubject]]:
        """Returns the verifier, which is given; see :meth:`Job.models`."""
        return [GivenModel(self.subject)]

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
        point, spec = subject.operating, subject.spec
        channels, height, width = spec.shape
        chosen = "as given" if point.wanted is None else f"for {point.wanted:.2%} false accepts"
        tested = [
            (
                "Template",
                f"{target.encoder.size:,} numbers, compared by {target.metric.unit}; "
                f"{subject.rule} of {int(subject.trained.sum()):,} enrolled photos",
            ),
            (
                "Input",
                f"{channels} \N{MULTIPLICATION SIGN} {height} \N{MULTIPLICATION SIGN} {width}, "
                f"values {spec.low:g} to {spec.high:g}",
            ),
            (
                "Accepts",
                f"{'from' if target.metric.unit == 'similarity' else 'up to'} {target.metric.unit} "
                f"{target.metric.of_score(point.threshold):.4g}, {chosen}",
            ),
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
        ]
        about = TargetRecord(
            name=target.name, kind=self.plan.target.kind, range=(spec.low, spec.high)
        )
        return Facts(about, tested)

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
        materials = Materials(photos.images, subject.spec, cell.seed, self.folder, advance)
        words = [photos.digest(), repr(subject.spec), cell.seed, identity(cell.prior)]
        if not cell.prior.from_photos:
            return cell.prior.build(materials)
        return self.plan.shelves.shared.made(
            f"prior-{cell.prior.name}", words, lambda: cell.prior.build(materials)
        )

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
        return run_cell(key, cell, subject, prior, bench, advance)


def _people(photos: Photos) -> str:
    return f"{len(photos.people):,} of {len(np.unique(photos.people)):,} strangers"


def load_job(plan: VerifierPlan, plan_path: Path, reporter: Reporter) -> VerifierJob:
    """Loads the encoder and the photos that a plan names, and enrols people.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    cell_plans(plan, folder=plan_path.parent)
    if plan.training:
        raise PlanError("[[training]] is not for verifiers yet: audit encoders that are trained")
    section = plan.target
    shape = section.shape or shape_of(located(plan.private.enrolled))
    spec = ImageSpec.of(shape, section.range)
    encoder = open_encoder(section, spec, folder=plan_path.parent)
    with reporter.stage("Reading photos") as advance:
        private = _photos(plan.private, plan.private.enrolled, encoder.spec)
        advance(1, 2)
        public: Photos | None = _photos(plan.public, plan.public.images, encoder.spec)
        if plan.judges.strangers is None:
            public, strangers = hold_apart(public)
        else:
            resize = plan.private.resize
            strangers = load_photos(plan.judges.strangers, encoder.spec, resize=resize)
    assert public is not None
    with reporter.stage("Enrolling people") as advance:
        subject = enrol(
            encoder,
            private,
            chosen_photos(private, plan.private.enrol),
            public,
            strangers,
            metric=section.compared,
            rule=section.rule,
            threshold=section.accepts_from,
            false_accepts=section.false_accepts or 0.001,
        )
        advance(1, 1)
    return VerifierJob.of_file(plan, plan_path, subject)


def chosen_photos(photos: Photos, told: str | None) -> np.ndarray:
    """Tells which photos are enrolled, bool ``(photos,)``.

    Args:
        photos: Of the people.
        told: A slice of each person's, or ``None`` for the first half, one at least.
    """
    if told is not None:
        return photos.numbered(parse_slice(told))
    counts = np.bincount(photos.people)[photos.people]
    half: np.ndarray = photos.numbers < np.maximum(1, counts // 2)
    return half


def _photos(section: EnrolledSection | FacesSection, path: Path, spec: ImageSpec) -> Photos:
    people = None if section.people is None else parse_slice(section.people)
    return load_photos(path, spec, people=people, resize=section.resize)
