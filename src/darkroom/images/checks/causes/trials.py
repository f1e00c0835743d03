"""Trying other orders of people and other preprocessing of photos on a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import TargetError
from darkroom.images.checks.causes.orders import assigned, best_named, named_orders
from darkroom.images.checks.causes.preprocessing import Change, changes
from darkroom.images.checks.causes.statistics import misfit
from darkroom.images.checks.knowledge import Knowledge, knowledge
from darkroom.images.checks.sample import Answers, Images, Labels, ask
from darkroom.images.subject import Subject
from darkroom.vision.photos import Photos, evenly

_TRIED, _TRIED_SERVED, _COMPARED = 24, 6, 64  # photos
_CHANGES_SERVED, _KEPT = 7, 4  # changes
_AS_GOOD = 0.1
_SURE = 0.01


class Fix(NamedTuple):
    """Something that makes the model know its people better.

    Attributes:
        cause: What is wrong, in words that stay the same.
        words: What was done, to follow "with".
        remedy: How to mend it.
        known: What the model knows then.
        right: On which photos it then names the person, ``(photos,)``.
    """

    cause: str
    words: str
    remedy: str
    known: Knowledge
    right: NDArray[np.bool_]

    def surely_better(self, right: NDArray[np.bool_], people: Labels) -> bool:
        """Tells whether more people gain by it than lose, and not by luck.

        Args:
            right: On which photos the model names the person as it is, ``(photos,)``.
            people: Who is on each.
        """
        if len(right) != len(self.right):
            return False
        gain = np.bincount(people, self.right.astype(float) - right)
        gained, lost = int((gain > 0).sum()), int((gain < 0).sum())
        if not gained:
            return False
        # Slow to import, and not needed before.
        from scipy.stats import binomtest

        return bool(binomtest(gained, gained + lost, alternative="greater").pvalue < _SURE)


class _Trial(NamedTuple):
    """A change, and the photos that it is applied to."""

    change: Change
    images: Images


def find_fix(
    subject: Subject, asked: Photos, answers: Answers, advance: Callable[[int, int], None]
) -> Fix | None:
    """Returns what lifts accuracy most: another order, another preprocessing, or both.

    Args:
        subject: The model and the photos.
        asked: Some of the photos that it was trained on.
        answers: What it said of them.
        advance: Told how much was tried.
    """
    plain = knowledge(answers.labels, asked.people)
    order = _ordered(answers.labels, asked, subject)
    if order is not None and order.known.far_above(plain):
        return order
    served = subject.target.served
    chosen = evenly(asked, _TRIED_SERVED if served else _TRIED)
    trials = [_Trial(*one) for one in changes(asked.images, subject.target.spec)]
    if served:
        trials = trials[:_CHANGES_SERVED]
    shares = []
    for step, trial in enumerate(trials):
        shares.append(_share(_answers(subject, trial, chosen), asked.select(chosen), subject))
        advance(step + 1, len(trials))
    best = max(shares)
    if best <= plain.interval.estimate:
        return None
    if served:
        return _confirmed(subject, asked, chosen, trials[int(np.argmax(shares))])
    # The best ones first, and likely ones first among those that are as good.
    ranked = sorted(range(len(trials)), key=lambda place: -shares[place])
    kept = [trials[place] for place in ranked[:_KEPT] if shares[place] >= best - _AS_GOOD]
    winner = _compared(subject, asked, kept)
    if winner is None:
        return None
    return _confirmed(subject, asked, np.ones(len(chosen), np.bool_), winner)


def _answers(subject: Subject, trial: _Trial, rows: NDArray[np.bool_]) -> Answers | None:
    """Returns the answers to changed photos; ``None`` where the model takes no such images."""
    try:
        given = trial.change.apply(trial.images[rows])
        return ask(subject.target, np.ascontiguousarray(given, dtype=np.float32))
    except (TargetError, RuntimeError, ValueError):
        return None


def _share(answers: Answers | None, photos: Photos, subject: Subject) -> float:
    """Returns the best share of people named rightly in any usual order."""
    if answers is None:
        return 0.0
    orders = _orders(subject)
    return max(float((answers.labels == order[photos.people]).mean()) for order in orders)


def _orders(subject: Subject) -> Iterator[Labels]:
    """Yields the order of the photos, then those in which people are often numbered."""
    names = subject.private.names
    yield np.arange(len(names))
    for order in named_orders(names, subject.target.classes):
        yield order.classes


def _compared(subject: Subject, asked: Photos, trials: list[_Trial]) -> _Trial | None:
    """Returns the best of several that all do well, the first if all are alike.

    Several scalings may do where one is right: where the model normalises in batches, it has kept
    what its inputs were like. What is farther from them than the photos as they are is no cause.
    """
    rows = evenly(asked, _COMPARED)
    photos = asked.select(rows)
    merits = []
    for trial in trials:
        share = _share(_answers(subject, trial, rows), photos, subject)
        apart = misfit(subject.target, trial.change.apply(trial.images[rows]))
        merits.append((share, apart))
    plain = misfit(subject.target, photos.images)
    most = max(share for share, _ in merits)
    good = [
        # Photos turned are as far from those in training as they were, but for chance.
        (round(apart, 1), -share, place)
        for place, (share, apart) in enumerate(merits)
        if share >= most - _AS_GOOD and apart <= plain + _AS_GOOD
    ]
    return trials[min(good)[2]] if good else None


def _confirmed(
    subject: Subject, asked: Photos, rows: NDArray[np.bool_], trial: _Trial
) -> Fix | None:
    """Asks about photos with the change that did best, and looks at orders again."""
    got = _answers(subject, trial, rows)
    if got is None:
        return None
    photos, change = asked.select(rows), trial.change
    plain = Fix(
        change.cause,
        change.words,
        change.remedy,
        knowledge(got.labels, photos.people),
        got.labels == photos.people,
    )
    order = _ordered(got.labels, photos, subject)
    if order is None or not order.known.far_above(plain.known):
        return plain
    return order._replace(
        cause=f"{plain.cause}, {order.cause}",
        words=f"{plain.words}, and with {order.words},",
        remedy=f"{plain.remedy} {order.remedy}",
    )


def _ordered(labels: Labels, photos: Photos, subject: Subject) -> Fix | None:
    """Returns the order in which the model has the people, if it is another one."""
    given = labels, photos.people, photos.names, subject.target.classes
    found = []
    for order in (best_named(*given), assigned(*given)):
        if order is not None:
            wanted = order.classes[photos.people]
            known = knowledge(labels, wanted)
            right = labels == wanted
            found.append(Fix("class order", order.words, order.remedy, known, right))
    # A usual order may be right about some people where the true one is about all.
    if len(found) == 2 and found[1].known.hits < found[0].known.hits + _AS_GOOD * len(labels):
        found.pop()
    return found[-1] if found else None
