"""What is learned from photos alone: judges, whom to rank people among, and where nearness is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.named import identity, is_ours
from darkroom.vision.guesses import Guesses, baseline, draws
from darkroom.vision.judges.accuracy import Rate
from darkroom.vision.judges.base import Judge, Recogniser
from darkroom.vision.judges.gallery import Gallery, fit_gallery
from darkroom.vision.judges.images import FaceSpace
from darkroom.vision.judges.panel import Keep, Panel, joined, placed, train_each
from darkroom.vision.judges.ranks import Floats, log_ranks_of_guesses
from darkroom.vision.photos import Photos
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import PriorConfiguration
from darkroom.vision.record import MeasuredRate
from darkroom.vision.subject import PhotoSubject

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
    def of(cls, subject: PhotoSubject, panel: Panel, gallery: Gallery | None) -> ByHeart:
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

    def to(self, device: torch.device | str) -> People:
        """Returns the same with judges on a device; see :meth:`Panel.to`."""
        return self._replace(panel=self.panel.to(device))


def kept_people(
    subject: PhotoSubject,
    seed: int,
    judges: Sequence[Judge],
    shelf: Artefacts,
    advance: Callable[[int, int], None],
) -> People:
    """Returns judges, and people among whom the right one is ranked.

    They are where the model is; what is kept of them is on the processor. They are kept whole where
    all judges are Darkroom's own. Another may be impossible to keep: then the others are kept one
    by one, and each process trains that one while the others do.

    Args:
        subject: All photos.
        seed: The run's; judges use numbers derived from it that no attack uses.
        judges: Those that vote.
        shelf: Where they are kept.
        advance: Told how far it is.

    Raises:
        DataError: If there are too few photos to judge by.
    """
    words = (subject.photos_digest(), seed, *subject.elsewhere)

    def keep(judge: Judge, train: Callable[[], Recogniser]) -> Recogniser:
        decisive = [*words, identity(judge)]
        return shelf.made("judge", decisive, lambda: placed(train()), waits=is_ours(judge))

    if not all(is_ours(judge) for judge in judges):
        return _people(subject, seed, judges, advance, keep)
    decisive = [*words, [identity(judge) for judge in judges]]
    people = shelf.made(
        "judges", decisive, lambda: _people(subject, seed, judges, advance).to("cpu")
    )
    return people.to(subject.device)


def _people(
    subject: PhotoSubject,
    seed: int,
    judges: Sequence[Judge],
    advance: Callable[[int, int], None],
    keep: Keep = train_each,
) -> People:
    panel = _panel(subject, subject.judge_split()[0], seed, judges, advance, keep)
    gallery = _gallery(subject)
    return People(panel, gallery, ByHeart.of(subject, panel, gallery))


def _panel(
    subject: PhotoSubject,
    learn: Photos,
    seed: int,
    judges: Sequence[Judge],
    advance: Callable[[int, int], None],
    keep: Keep,
) -> Panel:
    """Trains judges on photos of the people, and the gate on those of others."""
    spec, public = subject.spec, subject.public
    return Panel.fit(
        learn.images,
        learn.people,
        public_images=None if public is None else public.images,
        public_people=None if public is None else public.people,
        low=spec.low,
        high=spec.high,
        seed=derived(seed, 2),
        judges=judges,
        on_progress=advance,
        keep=keep,
        device=subject.device,
    )


def guess(
    prior: ImagePrior, panel: Panel, gallery: Gallery | None, subject: PhotoSubject, seed: int
) -> Guesses:
    """Returns what an attacker gets who draws from a prior and has no model.

    Args:
        prior: Is drawn from.
        panel: Judges the draws.
        gallery: Ranks people by them; ``None`` where nobody is ranked.
        subject: Whom they shall show.
        seed: The run's.
    """
    judged, likeness = [], []
    for part in draws(
        prior, derived(seed, 4), subject.device
    ):  # one after another: all would be gigabytes
        judged.append(panel.judge(part))
        if gallery is not None:
            likeness.append(gallery.likeness(subject.unit(part)))
    log_ranks = None
    if gallery is not None:
        log_ranks = log_ranks_of_guesses(np.concatenate(likeness), len(subject.goals))
    return Guesses(baseline(joined(judged), subject.goals), log_ranks)


def guessed_once(
    found: dict[str, Guesses],
    asked: PriorConfiguration,
    shelf: Artefacts,
    words: Sequence[object],
    make: Callable[[], Guesses],
) -> Guesses:
    """Returns what an attacker without the model gets, which is found out once a prior.

    Args:
        found: What is known by prior; takes what is found out.
        asked: What the plan asks for.
        shelf: Where it is kept, for a prior that photos decide.
        words: What decides the judges and how much a prior is fitted on.
        make: Finds it out.
    """
    told = identity(asked)
    name = json.dumps(told)
    if name not in found:
        kept = shelf if asked.from_photos else NOWHERE
        found[name] = kept.made("guesses", [*words, told], make)
    return found[name]


def fit_space(subject: PhotoSubject, memory: int) -> FaceSpace:
    """Returns where nearness is measured, from as many photos as fit into memory."""
    known = subject.private if subject.public is None else subject.public
    # A decomposition holds a few copies of the photos.
    most = max(2 * COMPONENTS, memory // 4 // max(1, known.images[:1].nbytes))
    if len(known.people) > most:
        kept = np.zeros(len(known.people), np.bool_)
        kept[np.linspace(0, len(kept) - 1, most).astype(np.int64)] = True
        known = known.select(kept)
    return FaceSpace.fit(subject.unit(known.images), COMPONENTS)


def _gallery(subject: PhotoSubject) -> Gallery | None:
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


def measured(rate: Rate, *, tries: bool = False) -> MeasuredRate:
    """Returns a rate, and how often it was tried where not every try is a trial."""
    estimate, low, high = rate.interval or (None, None, None)
    tried = rate.attempts if tries else None
    return MeasuredRate(estimate=estimate, low=low, high=high, n=rate.trials, tried=tried)


def derived(seed: int, purpose: int) -> int:
    """Returns a seed for one purpose of a run, below 2**31."""
    return int(np.random.default_rng([seed, purpose]).integers(2**31))
