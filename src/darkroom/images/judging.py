"""The audit's own side: judges with their errors, and what an attacker without the model gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from darkroom.auditing.artefacts import NOWHERE, UNSHELVED, Artefacts, Shelves
from darkroom.auditing.progress import Reporter
from darkroom.images.false_positives import FalsePositives, false_positive_rates
from darkroom.images.record import JudgeRates, Judges
from darkroom.images.subject import Subject
from darkroom.named import identity
from darkroom.vision.guesses import Guesses
from darkroom.vision.judges.accuracy import Accuracy, judge_accuracy
from darkroom.vision.judges.base import Judge
from darkroom.vision.judges.gallery import Gallery
from darkroom.vision.judges.images import FaceSpace
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judging import (
    ByHeart,
    People,
    derived,
    fit_space,
    guess,
    guessed_once,
    kept_people,
    measured,
)
from darkroom.vision.memory import DEFAULT, SHARE
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import PriorConfiguration


@dataclass(frozen=True)
class Bench:
    """The judges of a run, and how far they can be trusted.

    Attributes:
        panel: The judges and the plausibility gate.
        accuracy: How often they name real photos rightly that they never saw.
        false_positives: How often they are fooled.
        space: Where nearness to a person is measured.
        held_out: Whether all photos that they learned from were new to the target.
        gallery: The people among whom the right one is ranked; ``None`` without other people to
            learn from how people differ.
        by_heart: What a model that knew everybody by heart would give.
        guesses: What guesses without the model come to, by prior.
        shelf: Where they are kept.
        words: What decides the judges and how much a prior is fitted on.
    """

    panel: Panel
    accuracy: Accuracy
    false_positives: FalsePositives
    space: FaceSpace
    held_out: bool
    gallery: Gallery | None
    by_heart: ByHeart
    guesses: dict[str, Guesses]
    shelf: Artefacts = NOWHERE
    words: tuple[object, ...] = ()

    def guessed(
        self, asked: PriorConfiguration, prior: ImagePrior, subject: Subject, seed: int
    ) -> Guesses:
        """Returns what an attacker without the model gets, which is found out once a prior.

        Args:
            asked: What the plan asks for.
            prior: The same, fitted; is drawn from.
            subject: The truth.
            seed: The run's.
        """
        return guessed_once(
            self.guesses,
            asked,
            self.shelf,
            self.words,
            lambda: guess(prior, self.panel, self.gallery, subject, seed),
        )

    def rates(self) -> JudgeRates:
        """Returns the judges' own errors in short."""
        errors = self.errors()
        return JudgeRates(
            accuracy=errors.accuracy.estimate,
            false_positive_noise=errors.false_positive_noise.estimate,
            false_positive_adversarial=errors.false_positive_adversarial.estimate,
            false_positive_others=errors.false_positive_others.estimate,
        )

    def errors(self) -> Judges:
        """Returns the judges' own errors with intervals and counts."""
        return Judges(
            accuracy=measured(self.accuracy.panel),
            each=tuple(measured(rate) for rate in self.accuracy.judges),
            gate=measured(self.accuracy.gate),
            held_out=self.held_out,
            false_positive_noise=measured(self.false_positives.noise, tries=True),
            false_positive_adversarial=measured(self.false_positives.adversarial, tries=True),
            false_positive_others=measured(self.false_positives.others, tries=True),
        )


def set_up_bench(
    subject: Subject,
    seed: int,
    judges: Sequence[Judge],
    reporter: Reporter,
    former: Bench | None = None,
    memory: int = DEFAULT // SHARE,
    shelves: Shelves = UNSHELVED,
) -> Bench:
    """Trains the judges of a run and tests them.

    Args:
        subject: The target and all photos.
        seed: The run's; judges use numbers derived from it that no attack uses.
        judges: Those that vote.
        reporter: Shows the stages.
        former: The judges of another model of the same people, who are trained already.
        memory: Bytes that copies of photos may take.
        shelves: Where all this is kept.

    Raises:
        DataError: If there are too few photos to judge by.
    """
    names = [identity(judge) for judge in judges]
    words = (subject.photos_digest(), seed, names, *subject.elsewhere)
    if former is None:
        with reporter.stage("Training judges") as advance:
            people = kept_people(subject, seed, judges, shelves.shared, advance)
    else:
        people = People(former.panel, former.gallery, former.by_heart)
    with reporter.stage("Trying to fool the judges") as advance:
        accuracy, false_positives = shelves.own.made(
            "errors",
            [subject.digest(), *words],
            lambda: _tested(subject, seed, people.panel, advance),
        )
    space = shelves.shared.made(
        "space", [subject.photos_digest(), memory], lambda: fit_space(subject, memory)
    )
    return Bench(
        people.panel,
        accuracy,
        false_positives,
        space,
        subject.judge_split()[2],
        people.gallery,
        people.by_heart,
        {} if former is None else former.guesses,
        shelves.shared,
        (*words, memory),
    )


def _tested(
    subject: Subject, seed: int, panel: Panel, advance: Callable[[int, int], None]
) -> tuple[Accuracy, FalsePositives]:
    """Counts the errors of judges."""
    test = subject.judge_split()[1]
    return judge_accuracy(panel, test.images, test.people), false_positive_rates(
        panel,
        subject.target,
        test.images,
        test.people,
        goals=subject.goals,
        seed=derived(seed, 3),
        on_progress=advance,
    )
