"""The audit's own side: judges with their errors, and what an attacker without the model gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.auditing.progress import Reporter
from darkroom.images.judges.base import Judge
from darkroom.images.judges.false_positives import (
    Accuracy,
    FalsePositives,
    Rate,
    false_positive_rates,
    judge_accuracy,
)
from darkroom.images.judges.images import FaceSpace
from darkroom.images.judges.panel import Panel
from darkroom.images.priors.base import ImagePrior
from darkroom.images.record import JudgeRates, Judges, MeasuredRate
from darkroom.images.subject import Subject

COMPONENTS = 60
"""Dimensions of the face space in which nearness to a person is measured."""

DRAWS = 2000
"""Images drawn from a prior to learn how near to a person chance comes."""


@dataclass(frozen=True)
class Bench:
    """The judges of a run, and how far they can be trusted.

    Attributes:
        panel: The judges and the plausibility gate.
        accuracy: How often they name real photos rightly that they never saw.
        false_positives: How often they are fooled.
        space: Where nearness to a person is measured.
        held_out: Whether all photos that they learned from were new to the target.
    """

    panel: Panel
    accuracy: Accuracy
    false_positives: FalsePositives
    space: FaceSpace
    held_out: bool

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
    panel: Panel | None = None,
) -> Bench:
    """Trains the judges of a run and tests them.

    Args:
        subject: The target and all photos.
        seed: The run's; judges use numbers derived from it that no attack uses.
        judges: Those that vote.
        reporter: Shows the stages.
        panel: The judges, where they are trained already: for another model of the same people.

    Raises:
        DataError: If there are too few photos to judge by.
    """
    learn, test, held_out = subject.judge_split()
    spec, public = subject.target.spec, subject.public
    if panel is None:
        with reporter.stage("Training judges") as advance:
            panel = Panel.fit(
                learn.images,
                learn.people,
                public_images=None if public is None else public.images,
                public_people=None if public is None else public.people,
                low=spec.low,
                high=spec.high,
                seed=_derived(seed, 2),
                judges=judges,
                on_progress=advance,
            )
    with reporter.stage("Trying to fool the judges") as advance:
        accuracy = judge_accuracy(panel, test.images, test.people)
        false_positives = false_positive_rates(
            panel,
            subject.target,
            test.images,
            test.people,
            goals=subject.goals,
            seed=_derived(seed, 3),
            on_progress=advance,
        )
    known = subject.private if public is None else public
    space = FaceSpace.fit(subject.unit(known.images), COMPONENTS)
    return Bench(panel, accuracy, false_positives, space, held_out)


def guess(prior: ImagePrior, goals: int, seed: int) -> NDArray[np.float32]:
    """Returns what the attacker would answer without the model: one draw a goal.

    Returns:
        ``(goals, channels, height, width)`` in the target's range.
    """
    generator = torch.Generator().manual_seed(_derived(seed, 4))
    with torch.no_grad():
        return prior.decode(prior.draw(goals, generator)).numpy()


def chance_of(
    images: NDArray[np.float32], subject: Subject, bench: Bench, prior: ImagePrior, seed: int
) -> tuple[NDArray[np.float64], int]:
    """Tests each reconstruction against images that owe nothing to the model.

    The nearness of an image to a person is its distance, in the face space, to the nearest of
    that person's photos. The p-value is the share of images made without the model (draws from
    the prior, and the public photos) that come as near as the reconstruction, which is counted
    with them, so that it is never zero (Davison & Hinkley 1997, section 4.2).

    Args:
        images: The reconstructions, in the order of ``subject.goals``.
        subject: The truth.
        bench: Has the face space.
        prior: Is drawn from.
        seed: For the draws.

    Returns:
        The p-values, ``(goals,)``, and how many images they are counted over.
    """
    space, unit = bench.space, subject.unit
    others = [space.coordinates(unit(draw)) for draw in _draws(prior, seed)]
    if subject.public is not None:
        others.append(space.coordinates(unit(subject.public.images)))
    null = np.concatenate(others)
    photos = space.coordinates(unit(subject.private.images))
    found = space.coordinates(unit(images))
    p_values = np.empty(len(images))
    for position, goal in enumerate(subject.goals):
        own = photos[subject.private.people == goal]
        reached = _nearest(found[position : position + 1], own)[0]
        p_values[position] = (1 + (_nearest(null, own) <= reached).sum()) / (1 + len(null))
    return p_values, len(null)


def _nearest(points: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns each point's squared distance to the nearest target, ``(points,)``."""
    squares = (points**2).sum(axis=1)[:, None] + (targets**2).sum(axis=1)[None, :]
    nearest: NDArray[np.float64] = (squares - 2 * points @ targets.T).min(axis=1)
    return nearest


def _draws(prior: ImagePrior, seed: int) -> list[NDArray[np.float32]]:
    """Returns images drawn from a prior, in chunks; a single one if it always draws the same."""
    generator = torch.Generator().manual_seed(_derived(seed, 5))
    latents = prior.draw(DRAWS, generator)
    if bool((latents == latents[0]).all()):
        latents = latents[:1]
    with torch.no_grad():
        return [prior.decode(part).numpy() for part in torch.split(latents, 250)]


def _derived(seed: int, purpose: int) -> int:
    """Returns a seed for one purpose of a run, below 2**31."""
    return int(np.random.default_rng([seed, purpose]).integers(2**31))
