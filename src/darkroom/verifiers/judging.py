"""The audit's own side: judges with their errors, and what an attacker without the verifier has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from darkroom.auditing.artefacts import NOWHERE, UNSHELVED, Artefacts, Shelves
from darkroom.auditing.progress import Reporter
from darkroom.named import identity
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.embedding import EmbeddingVerifier
from darkroom.vision.guesses import Guesses
from darkroom.vision.judges.accuracy import Accuracy, Rate, judge_accuracy
from darkroom.vision.judges.base import Judge
from darkroom.vision.judges.gallery import Gallery
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judging import ByHeart, guess, guessed_once, kept_people
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import PriorConfiguration

MOST_OTHERS = 400
"""Photos of strangers that judges are tried on."""


@dataclass(frozen=True)
class VerifierBench:
    """What cells of a verifier are judged with.

    Attributes:
        panel: The judges and the plausibility gate.
        accuracy: How often they name real photos rightly that they never saw.
        others: How often they take photos of strangers for one of the people.
        likest: How often for the person, the stranger whom the verifier finds most alike; without a
            trial where no strangers are held apart from the judges.
        held_out: Whether the judges learned from photos that were not enrolled.
        gallery: The people among whom the right one is ranked; ``None`` without enough others.
        by_heart: What the average of everybody's enrolled photos would give.
        other_templates: The verifier with people enrolled from other photos; ``None`` without any.
        guesses: What guesses without the verifier come to, by prior.
        shelf: Where they are kept.
        words: What decides the judges.
    """

    panel: Panel
    accuracy: Accuracy
    others: Rate
    likest: Rate
    held_out: bool
    gallery: Gallery | None
    by_heart: ByHeart
    other_templates: EmbeddingVerifier | None
    guesses: dict[str, Guesses]
    shelf: Artefacts = NOWHERE
    words: tuple[object, ...] = ()

    def guessed(
        self, asked: PriorConfiguration, prior: ImagePrior, subject: VerifierSubject, seed: int
    ) -> Guesses:
        """Returns what an attacker without the verifier gets, which is found out once a prior.

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


def set_up_bench(
    subject: VerifierSubject,
    seed: int,
    judges: Sequence[Judge],
    reporter: Reporter,
    shelves: Shelves = UNSHELVED,
) -> VerifierBench:
    """Trains the judges of a run and tests them.

    Args:
        subject: The verifier and all photos.
        seed: The run's; judges use numbers derived from it that no attack uses.
        judges: Those that vote.
        reporter: Shows the stages.
        shelves: Where all this is kept.

    Raises:
        DataError: If there are too few photos to judge by.
    """
    names = [identity(judge) for judge in judges]
    words = (subject.photos_digest(), seed, names, *subject.elsewhere)

    def fit(advance: Callable[[int, int], None]) -> VerifierBench:
        people = kept_people(subject, seed, judges, shelves.shared, advance)
        test = subject.judge_split()[1]
        others, likest = _mistaken(subject, people.panel)
        return VerifierBench(
            people.panel,
            judge_accuracy(people.panel, test.images, test.people),
            others,
            likest,
            subject.judge_split()[2],
            people.gallery,
            people.by_heart,
            subject.other_templates,
            {},
            shelves.shared,
            words,
        )

    with reporter.stage("Training judges") as advance:
        return fit(advance)


def _mistaken(subject: VerifierSubject, panel: Panel) -> tuple[Rate, Rate]:
    """Counts strangers whom judges take for one of the people, and of the verifier's favourites.

    A stranger's photo is tried for one person, each in turn; the favourites are, for everybody, the
    photo of a stranger that the verifier finds most alike: that is what fools it.
    """
    if subject.strangers is None:  # the judges learned that public photos are of nobody
        none = Rate.of(np.zeros(0, np.bool_))
        return none, none
    photos = subject.impostors.images
    rows = np.linspace(0, len(photos) - 1, min(MOST_OTHERS, len(photos))).astype(np.int64)
    turns = subject.goals[np.arange(len(rows)) % len(subject.goals)]
    others = Rate.of(panel.judge(photos[rows]).names(turns))
    favourites = subject.impostor_scores.argmax(axis=0)
    return others, Rate.of(panel.judge(photos[favourites]).names(subject.goals))
