"""Whether a verifier and its photos are what their owner thinks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from darkroom.auditing.record import Check
from darkroom.statistics.intervals import clopper_pearson
from darkroom.verifiers.protection.outliers import unlike
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.metrics import Metric, unit
from darkroom.vision.duplicates import check_duplicates
from darkroom.vision.photos import spread

LEAST_ACCEPTED = 0.5
"""Of photos of the people enrolled, without which it is no verifier of them."""

_TOLERANCE = 1e-3  # of a score: rounding
_SERVED = 12  # photos that a server is asked about
_PUBLIC = 300  # photos of strangers that say how alike two people are


def check_subject(
    subject: VerifierSubject, advance: Callable[[int, int], None]
) -> tuple[Check, ...]:
    """Asks whether the verifier and the photos are what their owner thinks; changes nothing.

    Args:
        subject: The verifier and the photos.
        advance: Told how far it is.
    """
    found = (
        _recognition(subject),
        _faces(subject),
        _answers(subject),
        _strangers(subject),
        check_duplicates(subject),
        *_leak(subject),
    )
    advance(1, 1)
    return found


def _leak(subject: VerifierSubject) -> tuple[Check, ...]:
    """Says who has a leaked template that is unlike the others of theirs, if several leaked."""
    target = subject.embedding
    if target is None or target.leak is None:
        return ()
    name, metric, leak = "leak", target.metric, target.leak
    photos = spread(subject.public, _PUBLIC)
    known = target.encoder.templates(photos.images)
    known = known[np.isfinite(known).all(axis=1)]
    odd = unlike(leak.templates, unit(known) if metric is Metric.COSINE else known)
    count, people = leak.templates.shape[:2]
    if not odd.any():
        found = f"All {count:,} leaked templates of each of {people:,} people are alike."
        return (Check(name=name, outcome="passed", found=found),)
    worst = int(odd.sum(axis=0).argmax())
    who = subject.private.names[int(subject.goals[worst])]
    return (
        Check(
            name=name,
            outcome="noted",
            found=f"{int(odd.sum()):,} of {count * people:,} leaked templates are unlike the "
            f"others of their person; {who} has {int(odd[:, worst].sum())} of them.",
            remedy="Look whether they are somebody else's, or of a photo that shows no face. Who "
            "has three or more is attacked without them.",
        ),
    )


def _faces(subject: VerifierSubject) -> Check:
    """Says in how many photos of the people no face is found, or no number comes out."""
    name, photos = "faces", subject.seen if subject.target.served else subject.private
    missing, count = subject.faceless, len(photos.people)
    if missing is None:  # enrolment has not asked about all
        photos = spread(photos, _SERVED if subject.target.served else count)
        people, count = np.searchsorted(subject.goals, photos.people), len(photos.people)
        missing = int((~np.isfinite(subject.target.scores(photos.images, people))).sum())
    if not missing:
        return Check(name=name, outcome="passed", found=f"It answers all {count:,} photos tried.")
    return Check(
        name=name,
        outcome="failed" if missing > count / 2 else "noted",
        found=f"{missing:,} of {count:,} photos of the people get no score: there it finds "
        "no face, or answers with what is no number.",
        remedy="Give photos that show the face from the front, or set [target] detect = false "
        "where they are cropped to it; a net that answers NaN needs another [target] range.",
    )


def _recognition(subject: VerifierSubject) -> Check:
    """Compares how often the people and strangers are accepted."""
    name, point = "recognition", subject.operating
    accepts = f"{point.false_accepts.estimate:.2%} of strangers"
    refused = point.false_rejects
    if refused is None:
        return Check(
            name=name,
            outcome="noted",
            found=f"All photos are enrolled, so it is not known whether the people are accepted; "
            f"{accepts} are.",
            remedy="Give two photos a person or more, and enrol some of them.",
        )
    found = (
        f"It accepts {1 - refused.estimate:.1%} of {point.genuine:,} other photos of the people "
        f"enrolled, and {accepts}."
    )
    accepted = 1 - refused.high, 1 - refused.low
    if accepted[1] < LEAST_ACCEPTED or accepted[0] <= point.false_accepts.high:
        return Check(
            name=name,
            outcome="failed",
            found=found,
            remedy="Check [target] shape, range and metric, and the threshold: a verifier accepts "
            "most photos of its people, and surely more of them than of strangers.",
        )
    return Check(name=name, outcome="passed", found=found)


def _answers(subject: VerifierSubject) -> Check:
    """Asks some photos twice, and one by one."""
    photos, target = subject.seen.images[:6], subject.target
    people = np.searchsorted(subject.goals, subject.seen.people[:6])
    together, again = target.scores(photos, people), target.scores(photos, people)
    rows = range(len(photos))
    alone = [target.scores(photos[row : row + 1], people[row : row + 1]) for row in rows]

    def apart(other: np.ndarray) -> float:
        differs = together != other  # no face, twice, is the same
        return float(np.abs(together[differs] - other[differs]).max(initial=0.0))

    twice, batch = apart(again), apart(np.concatenate(alone))
    if max(twice, batch) <= _TOLERANCE:
        return Check(
            name="answers",
            outcome="passed",
            found=f"Answers are the same twice, and alone as in a batch ({len(photos)} photos "
            "asked again).",
        )
    what = "asked twice" if twice > _TOLERANCE else "alone and in a batch"
    return Check(
        name="answers",
        outcome="failed",
        found=f"The same photo {what} gets scores that are {max(twice, batch):.2g} apart.",
        cause="random answers" if twice > _TOLERANCE else "batch dependence",
        remedy="Turn off dropout and noise, and let batch normalisation use its running "
        "statistics.",
    )


def _strangers(subject: VerifierSubject) -> Check:
    """Says how surely the false-accept rate is known."""
    point = subject.operating
    accepted = round(point.false_accepts.estimate * point.pairs)
    high = clopper_pearson(accepted, point.pairs).high
    found = (
        f"Of {point.pairs:,} pairs of a stranger's photo and a person, by {point.strangers:,} "
        f"strangers, {accepted:,} are accepted."
    )
    if accepted < 5:
        return Check(
            name="strangers",
            outcome="noted",
            found=f"{found} That is too few to know the rate well: it may be {high:.2%}.",
            remedy="Give photos of more strangers in [judges] strangers.",
        )
    return Check(name="strangers", outcome="passed", found=found)
