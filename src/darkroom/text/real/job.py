"""Audits of real secrets: models and secrets loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.auditing.job import Advance, Arrays, Facts, Job, Model
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import PlanError, TargetError
from darkroom.sections import toml_text
from darkroom.text.cell_plan import TextCellPlan, text_cell_plans
from darkroom.text.checks.model import check_model
from darkroom.text.checks.spelling import check_spelling
from darkroom.text.exposure.near import NearPlace, near_masses
from darkroom.text.lines import lines_for
from darkroom.text.real.cells import Measured, run_real_cell
from darkroom.text.real.checks import check_secrets
from darkroom.text.real.evidence import Evidence, gather
from darkroom.text.real.plan import RealPlan
from darkroom.text.real.prompts import Prompt
from darkroom.text.real.record import RealCell
from darkroom.text.real.subject import RealSubject, Wanted, wanted_of
from darkroom.text.real.words import ways_of
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.load import open_folder, open_language_target
from darkroom.text.targets.sections import TransformersSection
from darkroom.text.utility import Utilities
from darkroom.training.models import GivenModel


class RealBench(NamedTuple):
    """What is measured of the model once, for all attacks.

    Attributes:
        measured: Of each secret.
        utilities: What the model is worth behind defences.
    """

    measured: Measured
    utilities: Utilities


@dataclass(frozen=True)
class RealJob(Job[RealPlan, RealSubject, TextCellPlan, RealBench]):
    """An audit of real secrets; see :class:`Job`."""

    def models(self) -> Sequence[Model[RealSubject]]:
        """Returns the model that is given; see :meth:`Job.models`."""
        return [GivenModel(self.subject)]

    def cells(self) -> Sequence[TextCellPlan]:
        """Returns every attack against every output defence; see :meth:`Job.cells`."""
        return text_cell_plans(self.plan, self.subject.target.access, self.folder)

    def facts(self) -> Facts:
        """Returns what the report says of the model and the secrets; see :meth:`Job.facts`."""
        subject, target = self.subject, self.subject.target
        kinds = [one.secret.type for one in subject.wanted]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        kind = "fills masks" if target.masked else "continues text"
        tested = [
            ("Answers", f"{kind}; {target.access} at most"),
            ("Secrets", f"{len(kinds)} real ones: {counts}"),
            (
                "Prompts",
                ", ".join(f"{count} {way}" for way, count in ways_of(subject).items()),
            ),
            ("Decoys", f"{self.plan.private.decoys} of the same format for each secret, at most"),
            ("Before the fine-tune", "not given" if subject.base is None else "compared"),
        ]
        about = TargetRecord(
            name=target.name,
            kind=self.plan.target.kind,
            key_file=str(self.plan.private.secrets.resolve()),
        )
        return Facts(about, tested)

    def check(self, subject: RealSubject, advance: Advance) -> Sequence[Check]:
        """Looks at weights, answers and secrets; see :meth:`Job.check`."""
        # The first prompt is the text around the secret where that is given.
        lines = [one.prompts[0].line(one.secret.secret) for one in subject.wanted]
        rng = np.random.default_rng([subject.seed, 9])
        found = check_secrets(subject)
        advance(1, 2)
        found = [*check_model(subject.target, [lines, subject.held_out], rng), *found]
        spelling = check_spelling(subject.target, lines)
        advance(2, 2)
        return [*found, *filter(None, [spelling])]

    def bench(
        self, subject: RealSubject, former: RealBench | None, reporter: Reporter
    ) -> RealBench:
        """Measures evidence and near misses; see :meth:`Job.bench`."""
        del former
        measured = self.plan.shelves.own.made(
            "evidence", [subject.digest(), subject.seed], lambda: _measured(subject, reporter)
        )
        return RealBench(measured, Utilities(subject.target, subject.held_out, subject.seed))

    def fit_prior(self, cell: TextCellPlan, subject: RealSubject, advance: Advance) -> None:
        """The shapes of secrets are all that an attacker knows, and need no fitting."""

    def run_cell(
        self,
        key: str,
        cell: TextCellPlan,
        subject: RealSubject,
        prior: None,
        bench: RealBench,
        advance: Advance,
    ) -> tuple[RealCell, Arrays]:
        """Attacks every secret, and judges what comes out; see :meth:`Job.run_cell`."""
        del prior
        utility = bench.utilities.behind(cell.defense.name, cell.defense.one)
        return run_real_cell(key, cell, subject, bench.measured, utility, advance)


def _measured(subject: RealSubject, reporter: Reporter) -> Measured:
    """Ranks secrets among decoys, and looks for near misses where the plan asks for them."""
    with reporter.stage("Ranking secrets among decoys") as advance:
        evidence = gather(subject, advance)
    near = None
    if evidence is not None and subject.settings.near:
        with reporter.stage("Looking for near misses") as advance:
            near = _near(subject, evidence, advance)
    return Measured(evidence, near)


def _near(subject: RealSubject, evidence: Sequence[Evidence], advance: Advance) -> list[float]:
    """Adds up the probabilities of what is nearly each secret, in its best prompt."""
    places = []
    for wanted, one in zip(subject.wanted, evidence, strict=True):
        prompt = wanted.prompts[one.prompt]
        places.append(NearPlace(prompt.before, prompt.after, wanted.secret.secret))
    settings, masses, batch = subject.settings, list[float](), 32
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        masses += near_masses(subject.target, some, distance=settings.near, rows=settings.near_rows)
        advance(len(masses), len(places))
    return masses


def load_job(plan: RealPlan, plan_path: Path, reporter: Reporter) -> RealJob:
    """Loads the model, the one before it and the secrets that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    folder = plan_path.parent
    # A mistyped name shows before anything is read.
    text_cell_plans(plan, LanguageAccess.WEIGHTS, folder)
    private, leave = plan.private, plan.run.authorized_by
    wanted, mark = wanted_of(private, plan.run.seed)
    with reporter.stage("Opening the language model"):
        target = open_language_target(plan.target, folder=folder, authorized_by=leave)
        base = _base(plan, folder)
    for cell in text_cell_plans(plan, target.access, folder):
        cell.attack.check_kind(masked=target.masked)
    held_out = lines_for(target, private.held_out)
    models = [target] if base is None else [target, base]
    readable = tuple(_readable(_placed(one, target), models) for one in wanted)
    subject = RealSubject(target, base, readable, private, plan.run.seed, mark, held_out)
    command = f"darkroom audit {plan_path.name}"
    return RealJob(plan, toml_text(plan_path), command, subject, folder)


def _base(plan: RealPlan, folder: Path) -> LanguageTarget | None:
    """Opens the model before the fine-tune, if the plan names one."""
    section = plan.target
    if isinstance(section, TransformersSection) and section.before is not None:
        return open_folder(section, section.before)
    if plan.private.base is None:
        return None
    leave = plan.run.authorized_by
    if plan.private.base.kind == "openai" and not (leave or "").strip():
        raise PlanError(
            "[private] base is a remote model, asked only with leave: set [run] authorized_by"
        )
    return open_language_target(plan.private.base, folder=folder, authorized_by=leave)


def _placed(wanted: Wanted, target: LanguageTarget) -> Wanted:
    """Returns a secret whose prompts are as a model is given them."""
    prompts = (Prompt(one.way, *target.placed(one.before, one.after)) for one in wanted.prompts)
    return replace(wanted, prompts=tuple(prompts))


def _readable(wanted: Wanted, models: Sequence[LanguageTarget]) -> Wanted:
    """Leaves out the prompts that are too long for the models.

    Raises:
        TargetError: If none is left.
    """
    kept = wanted.prompts
    for model in models:
        most = model.positions
        if most is None or not model.knows_tokens:
            continue
        texts = [one.line(wanted.secret.secret) for one in kept]
        lengths = [len(one.tokens) for one in model.codec.encode(texts)]
        # Other strings of the format may take more tokens than the secret: a byte each, at most.
        room = most - len(wanted.secret.secret.encode()) - 4
        kept = tuple(one for one, length in zip(kept, lengths, strict=True) if length <= room)
    if not kept:
        raise TargetError(
            f"every prompt of line {wanted.secret.line} of the secrets is longer than the model "
            "can read: give a shorter one"
        )
    return replace(wanted, prompts=kept)
