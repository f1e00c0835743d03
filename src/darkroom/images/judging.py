"""The audit's own side: judges with their errors, and what an attacker without the model gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darkroom.auditing.artefacts import NOWHERE, UNSHELVED, Artefacts, Shelves
from darkroom.auditing.progress import Reporter
from darkroom.images.guesses import Guesses, baseline, draws
from darkroom.images.judges.base import Judge, Recogniser
from darkroom.images.judges.false_positives import (
    Accuracy,
    FalsePositives,
    Rate,
    false_positive_rates,
    judge_accuracy,
)
from darkroom.images.judges.gallery import Gallery, fit_gallery
from darkroom.images.judges.images import FaceSpace
from darkroom.images.judges.panel import Keep, Panel, joined, train_each
from darkroom.images.judges.ranks import Floats, log_ranks_of_guesses
from darkroom.images.photos import Photos
from darkroom.images.priors.base import ImagePrior
from darkroom.images.priors.build import PriorConfiguration
from darkroom.images.record import JudgeRates, Judges, MeasuredRate
from darkroom.images.subject import Subject
from darkroom.images.targets.memory import DEFAULT, SHARE
from darkroom.named import identity, is_ours

COMPONENTS = 60
"""Dimensions of the face space in which nearness to a person is measured."""

FEWEST_PEOPLE = 5
"""Public people from whom can be learned how people differ."""


class ByHeart(NamedTuple):
    """What a model that knew everybody by heart would give: the average of each one's photos.

    Attributes:
        likeness: How much these resemble each of the gallery, ``(goals, goals + strangers)``;
            ``None`` without one.
        recognised: The share that the judges recognise.
    """

    likeness: Floats | None
    recognised: float

    @classmethod
    def of(cls, subject: Subject, panel: Panel, gallery: Gallery | None) -> ByHeart:
        """Judges and ranks the averages of the photos that the target was trained on."""
        averages = subject.averages
        likeness = None if gallery is None else gallery.likeness(subject.unit(averages))
        return cls(likeness, float(panel.judge(averages).names(subject.goals).mean()))


class People(NamedTuple):
    """What is learned from photos alone, whatever the model.

    Attributes:
        panel: The judges and the plausibility gate.
        gallery: The people among whom the right one is ranked.
        by_heart: What a model that knew everybody by heart would give.
    """

    panel: Panel
    gallery: Gallery | None
    by_heart: ByHeart


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
        told = identity(asked)
        name = json.dumps(told)
        if name not in self.guesses:
            shelf = self.shelf if asked.from_photos else NOWHERE
            self.guesses[name] = shelf.made(
                "guesses", [*self.words, told], lambda: self._guess(prior, subject, seed)
            )
        return self.guesses[name]

    def _guess(self, prior: ImagePrior, subject: Subject, seed: int) -> Guesses:
        judged, likeness = [], []
        for part in draws(prior, _derived(seed, 4)):  # one after another: all would be gigabytes
            judged.append(self.panel.judge(part))
            if self.gallery is not None:
                likeness.append(self.gallery.likeness(subject.unit(part)))
        log_ranks = None
        if self.gallery is not None:
            log_ranks = log_ranks_of_guesses(np.concatenate(likeness), len(subject.goals))
        return Guesses(baseline(joined(judged), subject.goals), log_ranks)

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
            accuracy=_measured(self.accuracy.panel),
            each=tuple(_measured(rate) for rate in self.accuracy.judges),
            gate=_measured(self.accuracy.gate),
            held_out=self.held_out,
            false_positive_noise=_measured(self.false_positives.noise, tries=True),
            false_positive_adversarial=_measured(self.false_positives.adversarial, tries=True),
            false_positive_others=_measured(self.false_positives.others, tries=True),
        )


def _measured(rate: Rate, *, tries: bool = False) -> MeasuredRate:
    """Returns a rate, and how often it was tried where not every try is a trial."""
    estimate, low, high = rate.interval or (None, None, None)
    tried = rate.attempts if tries else None
    return MeasuredRate(estimate=estimate, low=low, high=high, n=rate.trials, tried=tried)


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
    words = (subject.photos_digest(), seed, [identity(judge) for judge in judges])
    if former is None:
        with reporter.stage("Training judges") as advance:
            people = _kept_people(subject, seed, judges, shelves.shared, advance)
    else:
        people = People(former.panel, former.gallery, former.by_heart)
    with reporter.stage("Trying to fool the judges") as advance:
        accuracy, false_positives = shelves.own.made(
            "errors",
            [subject.digest(), *words],
            lambda: _tested(subject, seed, people.panel, advance),
        )
    space = shelves.shared.made(
        "space", [subject.photos_digest(), memory], lambda: _space(subject, memory)
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
        seed=_derived(seed, 3),
        on_progress=advance,
    )


def _kept_people(
    subject: Subject,
    seed: int,
    judges: Sequence[Judge],
    shelf: Artefacts,
    advance: Callable[[int, int], None],
) -> People:
    """Returns what is learned from photos alone.

    It is kept whole where all judges are Darkroom's own. Another may be impossible to keep: then
    the others are kept one by one, and each process trains that one while the others do.
    """
    words = (subject.photos_digest(), seed)

    def keep(judge: Judge, train: Callable[[], Recogniser]) -> Recogniser:
        return shelf.made("judge", [*words, identity(judge)], train, waits=is_ours(judge))

    if not all(is_ours(judge) for judge in judges):
        return _people(subject, seed, judges, advance, keep)
    decisive = [*words, [identity(judge) for judge in judges]]
    return shelf.made("judges", decisive, lambda: _people(subject, seed, judges, advance))


def _people(
    subject: Subject,
    seed: int,
    judges: Sequence[Judge],
    advance: Callable[[int, int], None],
    keep: Keep = train_each,
) -> People:
    panel = _panel(subject, subject.judge_split()[0], seed, judges, advance, keep)
    gallery = _gallery(subject)
    return People(panel, gallery, ByHeart.of(subject, panel, gallery))


def _panel(
    subject: Subject,
    learn: Photos,
    seed: int,
    judges: Sequence[Judge],
    advance: Callable[[int, int], None],
    keep: Keep,
) -> Panel:
    """Trains judges on photos of the people, and the gate on those of others."""
    spec, public = subject.target.spec, subject.public
    return Panel.fit(
        learn.images,
        learn.people,
        public_images=None if public is None else public.images,
        public_people=None if public is None else public.people,
        low=spec.low,
        high=spec.high,
        seed=_derived(seed, 2),
        judges=judges,
        on_progress=advance,
        keep=keep,
    )


def _space(subject: Subject, memory: int) -> FaceSpace:
    """Returns where nearness is measured, from as many photos as fit into memory."""
    known = subject.private if subject.public is None else subject.public
    # A decomposition holds a few copies of the photos.
    most = max(2 * COMPONENTS, memory // 4 // max(1, known.images[:1].nbytes))
    if len(known.people) > most:
        kept = np.zeros(len(known.people), np.bool_)
        kept[np.linspace(0, len(kept) - 1, most).astype(np.int64)] = True
        known = known.select(kept)
    return FaceSpace.fit(subject.unit(known.images), COMPONENTS)


def _gallery(subject: Subject) -> Gallery | None:
    """Returns the people to rank, where there are enough others to learn from."""
    public, private, strangers = subject.public, subject.private, subject.strangers
    if public is None or len(np.unique(public.people)) < FEWEST_PEOPLE:
        return None
    nobody = private.select(np.zeros(len(private.people), np.bool_))
    known, own, others = (
        (subject.unit(photos.images), photos.people)
        for photos in (public, private, strangers or nobody)
    )
    return fit_gallery(known, own, others)


def _derived(seed: int, purpose: int) -> int:
    """Returns a seed for one purpose of a run, below 2**31."""
    return int(np.random.default_rng([seed, purpose]).integers(2**31))
