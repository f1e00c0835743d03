"""Audits of language models: model and canaries loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.auditing.job import Advance, Arrays, Facts, Job, Model, trained_row
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import PlanError
from darkroom.sections import toml_text
from darkroom.text.canaries import load_key
from darkroom.text.cell_plan import TextCellPlan, text_cell_plans
from darkroom.text.cells import run_text_cell
from darkroom.text.checks.canaries import check_canaries
from darkroom.text.checks.model import check_model
from darkroom.text.checks.spelling import check_spelling
from darkroom.text.exposure.measure import Exposure, measure
from darkroom.text.lines import lines_for
from darkroom.text.models import TextTrainer
from darkroom.text.plan import TextPlan
from darkroom.text.record import TextCell
from darkroom.text.subject import TextSubject
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.load import open_folder, open_language_target
from darkroom.text.targets.sections import TransformersSection
from darkroom.text.training.base import TextTraining, UndefendedText
from darkroom.text.training.course import TextRecipe
from darkroom.text.training.registry import TEXT_TRAINING_DEFENSES
from darkroom.text.utility import Utilities
from darkroom.training.defense import with_control
from darkroom.training.models import GivenModel, TrainedModel

if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.text.targets.openai import OpenAITarget


class TextBench(NamedTuple):
    """What is measured of a model once, for all attacks.

    Attributes:
        exposures: Of each canary, if the model tells.
        before: The same, of the model before it was trained on them.
        utilities: What the model is worth behind defences.
    """

    exposures: list[Exposure] | None
    before: list[Exposure] | None
    utilities: Utilities


@dataclass(frozen=True)
class TextJob(Job[TextPlan, TextSubject, TextCellPlan, TextBench]):
    """An audit of a language model; see :class:`Job`.

    Attributes:
        corpus: What the plan's trainings train on, or the given model was trained on.
    """

    corpus: tuple[str, ...] = ()

    def models(self) -> Sequence[Model[TextSubject]]:
        """Returns the model that is given, or those to train; see :meth:`Job.models`."""
        plan = self.plan
        if not plan.training:
            return [GivenModel(self.subject)]
        recipe = TextRecipe(**plan.recipe.model_dump())
        trainer = TextTrainer(self.subject, self.corpus, recipe, plan.run.seed)
        return [
            TrainedModel(trainer, one, plan.models_folder)
            for one in text_trainings(plan, self.folder)
        ]

    def cells(self) -> Sequence[TextCellPlan]:
        """Returns every attack against every output defence; see :meth:`Job.cells`."""
        return text_cell_plans(self.plan, self.subject.target.access, self.folder)

    def facts(self) -> Facts:
        """Returns what the report says of the model and the canaries; see :meth:`Job.facts`."""
        canaries, target = self.subject.canaries, self.subject.target
        counts = sorted({one.repetitions for one in canaries.inserted})
        kind = "fills masks" if target.masked else "continues text"
        tested = [
            ("Answers", f"{kind}; {target.access} at most"),
            *([("Reading", target.reads)] if target.reads else []),
            *(
                ("Secrets", f"{one.describe()}: {one.size:,} candidates, {one.bits:.1f} bits")
                for one in canaries.formats
            ),
            (
                "Canaries",
                f"{len(canaries.inserted)} in the training data, "
                f"{', '.join(map(str, counts))} times; "
                f"{len(canaries.controls)} held out as controls",
            ),
            ("Before training", "not given" if self.subject.before is None else "compared"),
            ("Commitment", canaries.commitment()),
            *trained_row(
                text_trainings(self.plan, self.folder), f"on {len(self.corpus):,} lines: "
            ),
        ]
        about = TargetRecord(
            name=target.name,
            kind=self.plan.target.kind,
            key_file=str(self.plan.private.canaries.resolve()),
        )
        return Facts(about, tested)

    def check(self, subject: TextSubject, advance: Advance) -> Sequence[Check]:
        """Looks at weights, answers, canaries and lines; see :meth:`Job.check`."""
        canaries = subject.canaries
        # Those that it was trained on come first, and canaries themselves where nothing is known.
        lines = [self.corpus, [one.line for one in canaries.inserted], subject.held_out]
        rng = np.random.default_rng([subject.seed, 9])
        found = check_canaries(canaries, self.corpus, subject.held_out)
        advance(1, 2)
        found = [*check_model(subject.target, lines, rng), *found]
        often = sorted(canaries.inserted, key=lambda one: -one.repetitions)
        controls = [one.line for one in canaries.controls]
        spelling = check_spelling(subject.target, [one.line for one in often], controls)
        advance(2, 2)
        return [*found, *filter(None, [spelling])]

    def bench(
        self, subject: TextSubject, former: TextBench | None, reporter: Reporter
    ) -> TextBench:
        """Measures exposures; see :meth:`Job.bench`."""
        every, shelf = subject.canaries.canaries, self.plan.shelves.own
        words = [subject.digest(), subject.seed]
        before = None if former is None else former.before
        if former is None and (untrained := subject.before) is not None:
            with reporter.stage("Measuring exposures before training") as advance:
                before = shelf.made(
                    "before", words, lambda: measure(untrained, subject, every, advance)
                )
        with reporter.stage("Measuring exposures") as advance:
            exposures = shelf.made(
                "exposures", words, lambda: measure(subject.target, subject, every, advance)
            )
        return TextBench(
            exposures, before, Utilities(subject.target, subject.held_out, subject.seed)
        )

    def fit_prior(self, cell: TextCellPlan, subject: TextSubject, advance: Advance) -> None:
        """The format of secrets is all that an attacker knows, and needs no fitting."""

    @cached_property
    def _endpoint(self) -> Endpoint[OpenAITarget]:
        """The same model behind the plan's guard, reached when a cell first asks it."""
        from darkroom.remote.guarded import Endpoint
        from darkroom.text.targets.openai import OpenAITarget

        def reach() -> OpenAITarget:
            plan = self.plan
            assert plan.guarded is not None
            leave = plan.run.authorized_by
            target = open_language_target(plan.guarded, authorized_by=leave, ends_with_limit=True)
            assert isinstance(target, OpenAITarget), "the plan has checked this"
            return target

        return Endpoint(reach)

    def run_cell(
        self,
        key: str,
        cell: TextCellPlan,
        subject: TextSubject,
        prior: None,
        bench: TextBench,
        advance: Advance,
    ) -> tuple[TextCell, Arrays]:
        """Attacks canaries and controls, and judges what comes out; see :meth:`Job.run_cell`."""
        del prior
        utility = bench.utilities.behind(cell.defense.name, cell.defense.one)
        where = None if cell.guarded is None else self._endpoint
        return run_text_cell(
            key, cell, subject, bench.exposures, bench.before, utility, advance, where
        )


def load_job(plan: TextPlan, plan_path: Path, reporter: Reporter) -> TextJob:
    """Loads the model and the canaries that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    text = toml_text(plan_path)
    return text_job(plan, text, f"darkroom audit {plan_path.name}", plan_path.parent, reporter)


def text_job(
    plan: TextPlan,
    plan_text: str,
    command: str,
    folder: Path,
    reporter: Reporter,
    target: LanguageTarget | None = None,
) -> TextJob:
    """Loads what a plan names and is not there yet.

    Args:
        plan: The plan.
        plan_text: The same as TOML.
        command: How to repeat the run.
        folder: Where modules and files that the plan names are looked for.
        reporter: Shows the stages.
        target: The model, if it is loaded already.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped name shows before anything is read.
    text_cell_plans(plan, LanguageAccess.WEIGHTS, folder)
    text_trainings(plan, folder)
    private, section, before = plan.private, plan.target, None
    canaries = load_key(private.canaries)
    with reporter.stage("Opening the language model"):
        if target is None:
            target = open_language_target(
                section, folder=folder, authorized_by=plan.run.authorized_by
            )
        if isinstance(section, TransformersSection) and section.before is not None:
            before = open_folder(section, section.before, bare=True)
    canaries = canaries.placed(target.placed)
    for cell in text_cell_plans(plan, target.access, folder):
        cell.attack.check_kind(masked=target.masked)
    if plan.training and target.masked:
        raise PlanError("[[training]] trains models that continue text, and this one fills masks")
    subject = TextSubject(
        target,
        before,
        canaries,
        private.rank_rows,
        private.references,
        plan.run.seed,
        lines_for(target, private.held_out),
    )
    corpus = lines_for(target, private.corpus)
    return TextJob(plan, plan_text, command, subject, folder, corpus)


def text_trainings(plan: TextPlan, folder: Path) -> list[TextTraining]:
    """Returns the training defences of a plan, without any first; none if it trains nothing.

    Args:
        plan: The plan.
        folder: Where modules that they name are looked for.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    named = [TEXT_TRAINING_DEFENSES.find(one, folder) for one in plan.training]
    return with_control(UndefendedText(), named)
