"""Audits of language models: model and canaries loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from darkroom.access import LanguageAccess
from darkroom.auditing.plan import PriorSection
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import Facts, FinishedCell, Job
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.defenses.registry import LOGPROB_DEFENSES
from darkroom.errors import PlanError
from darkroom.named import describe
from darkroom.text.attacks.registry import SECRET_ATTACKS
from darkroom.text.canaries import load_key, read_lines
from darkroom.text.cell_plan import TextCellPlan
from darkroom.text.cells import run_text_cell
from darkroom.text.exposure.measure import measure
from darkroom.text.models import GivenTextModel, TextModel, TrainedTextModel
from darkroom.text.plan import SecretAttackSection, TextPlan
from darkroom.text.subject import TextSubject
from darkroom.text.targets.load import open_folder, open_language_target
from darkroom.text.targets.sections import TransformersSection
from darkroom.text.training.recipe import (
    TEXT_TRAININGS,
    TextRecipe,
    TextTraining,
    UndefendedText,
)
from darkroom.text.utility import text_utility


@dataclass(frozen=True)
class TextJob(Job):
    """An audit of a language model.

    Attributes:
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        command: How to repeat the run.
        subject: The model and the canaries; where the plan has trainings, the model before them.
        key_file: Where the canaries are; a report that reveals them reads it again.
        corpus: What the plan's trainings train on.
    """

    plan: TextPlan
    plan_text: str
    command: str
    subject: TextSubject
    key_file: Path
    corpus: tuple[str, ...] = ()

    def keys(self, version: str) -> list[str]:
        """Returns the key of every cell; see :meth:`Job.keys`."""
        return [cell.key(model.digest, version) for model, cell in self._planned]

    @cached_property
    def _planned(self) -> list[tuple[TextModel, TextCellPlan]]:
        """Every attack against every output defence, for each model."""
        cells = text_cell_plans(self.plan, self.subject.target.access)
        return [(model, cell) for model in self.models() for cell in cells]

    def models(self) -> list[TextModel]:
        """Returns the model that is given, or those to train, the undefended one first."""
        plan = self.plan
        if not plan.training:
            return [GivenTextModel(self.subject)]
        recipe = TextRecipe(**plan.recipe.model_dump())
        folder = plan.run.out / plan.run.name / "models"
        return [
            TrainedTextModel(self.subject, self.corpus, defense, recipe, plan.run.seed, folder)
            for defense in text_trainings(plan)
        ]

    def facts(self) -> Facts:
        """Returns what the report says of the model and the canaries; see :meth:`Job.facts`."""
        canaries, target = self.subject.canaries, self.subject.target
        secrets = canaries.secrets
        counts = sorted({one.repetitions for one in canaries.inserted})
        kind = "fills masks" if target.masked else "continues text"
        tested = [
            ("Answers", f"{kind}; {target.access} at most"),
            (
                "Secrets",
                f"{secrets.describe()}: {secrets.size:,} candidates, {secrets.bits:.1f} bits",
            ),
            (
                "Canaries",
                f"{len(canaries.inserted)} in the training data, "
                f"{', '.join(map(str, counts))} times; "
                f"{len(canaries.controls)} held out as controls",
            ),
            ("Before training", "not given" if self.subject.before is None else "compared"),
            ("Commitment", canaries.commitment()),
        ]
        if self.plan.training:
            names = [describe(defense) for defense in text_trainings(self.plan)]
            tested.append(
                ("Trained by Darkroom", f"on {len(self.corpus):,} lines: {'; '.join(names)}")
            )
        about = {
            "name": target.name,
            "kind": self.plan.target.kind,
            "key_file": str(self.key_file.resolve()),
        }
        return Facts(about, tested)

    def run(self, keys: Sequence[str], version: str, reporter: Reporter) -> Iterator[FinishedCell]:
        """Runs cells, which share the exposures; see :meth:`Job.run`."""
        every, before = self.subject.canaries.canaries, None
        if self.subject.before is not None:
            with reporter.stage("Measuring exposures before training") as advance:
                before = measure(self.subject.before, self.subject, every, advance)
        opened: TextModel | None = None
        for key, (model, cell) in zip(self.keys(version), self._planned, strict=True):
            if key not in keys:
                continue
            if model is not opened:
                opened, subject = model, model.open(reporter)
                worth: dict[str, dict[str, float]] = {}
                with reporter.stage("Measuring exposures") as advance:
                    exposures = measure(subject.target, subject, every, advance)
            if cell.defense_name not in worth:
                worth[cell.defense_name] = text_utility(
                    subject.target, subject.held_out, cell.defense, self.plan.run.seed
                )
            with reporter.stage(cell.title) as advance:
                result, arrays = run_text_cell(
                    key, cell, subject, exposures, before, worth[cell.defense_name], advance
                )
            yield FinishedCell(key, model.dress(result), arrays)


def load_job(plan: TextPlan, plan_path: Path, reporter: Reporter) -> TextJob:
    """Loads the model and the canaries that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped name shows before anything is read.
    text_cell_plans(plan, LanguageAccess.WEIGHTS)
    text_trainings(plan)
    canaries = load_key(plan.private.canaries)
    with reporter.stage("Opening the language model"):
        section, before = plan.target, None
        target = open_language_target(section, authorized_by=plan.run.authorized_by)
        if isinstance(section, TransformersSection) and section.before is not None:
            before = open_folder(section, section.before)
    for cell in text_cell_plans(plan, target.access):
        cell.attack.check_kind(masked=target.masked)
    if plan.training and target.masked:
        raise PlanError("[[training]] trains models that continue text, and this one fills masks")
    subject = TextSubject(
        target,
        before,
        canaries,
        plan.private.rank_rows,
        plan.private.references,
        plan.run.seed,
        () if plan.private.held_out is None else tuple(read_lines(plan.private.held_out)),
    )
    return TextJob(
        plan,
        plan_path.read_text(encoding="utf-8"),
        f"darkroom audit {plan_path.name}",
        subject,
        plan.private.canaries,
        tuple(read_lines(plan.private.corpus)) if plan.training and plan.private.corpus else (),
    )


def text_cell_plans(plan: TextPlan, most: LanguageAccess) -> list[TextCellPlan]:
    """Checks every attack and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights, or sees text alone,
    meets none that changes log-probabilities.

    Args:
        plan: The plan.
        most: The most that the target gives.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    defenses: list[LogprobDefense | None] = [None]
    for table in plan.defense:
        links = table.links
        if len(links) > 1:
            raise PlanError("[[defense]] of a language model: give one, not a chain")
        name, parameters = links[0]
        defenses.append(LOGPROB_DEFENSES.make(name, parameters))
    cells = []
    for section in plan.attack:
        for defense in defenses:
            cell = _cell_plan(plan, section, defense, most)
            if defense is None:
                cells.append(cell)
            elif cell.access in (LanguageAccess.LOGPROBS, LanguageAccess.TOP_K):
                cells += [cell, replace(cell, naive=True)] if plan.run.naive else [cell]
    return cells


def text_trainings(plan: TextPlan) -> list[TextTraining]:
    """Returns the training defences of a plan, without any first.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    named = [TEXT_TRAININGS.make(one.name, one.parameters) for one in plan.training]
    return [UndefendedText(), *(one for one in named if one != UndefendedText())]


def _cell_plan(
    plan: TextPlan,
    section: SecretAttackSection,
    defense: LogprobDefense | None,
    most: LanguageAccess,
) -> TextCellPlan:
    attack = SECRET_ATTACKS.make(section.name, section.parameters)
    if section.prior not in (None, PriorSection(name="format")):
        raise PlanError(f"attack {section.name}: the prior of a secret is its format: leave it out")
    access = section.access
    if access is None:
        # A search uses all that it is given; others have one access that is theirs.
        access = most if attack.access is LanguageAccess.TOP_K else attack.access
        if defense is not None and access is LanguageAccess.WEIGHTS:
            access = LanguageAccess.LOGPROBS
    return TextCellPlan(attack, access, defense, section.budget, plan.run.seed)
