"""What the stored templates of a verifier tell once they have leaked, as the record has it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from darkroom.auditing.record import Share
from darkroom.verifiers.many_leaked import Attacked, bits_found, many_record
from darkroom.verifiers.measures.leaked import Enrolled, Values, leaked, told_attributes
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.record import LeakedStore, ToldAttribute
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.base import Floats, Labels
from darkroom.verifiers.targets.metrics import Metric, unit
from darkroom.vision.photos import Photos

MOST = 300
"""Strangers who are enrolled besides, so that the right person stands among many."""


def enrolled_templates(subject: VerifierSubject) -> Enrolled | None:
    """Returns templates by which a store is measured; ``None`` where people have no other photos.

    Strangers of whom there are two photos are enrolled besides, unless others serve the encoder.

    Args:
        subject: A verifier that compares templates here, without protection.
    """
    target = subject.embedding
    if target is None or not np.isin(subject.goals, subject.held_out.people).all():
        return None

    def templates(photos: Photos) -> tuple[Floats, Labels]:
        found = target.encoder.templates(photos.images)
        faces = np.isfinite(found).all(axis=1)
        ready = unit(found[faces]) if target.metric is Metric.COSINE else found[faces]
        return ready, photos.people[faces]

    known, who = templates(subject.public)
    other, people = templates(subject.held_out)
    if not (len(known) and np.isin(subject.goals, people).all()):
        return None
    stored = target.store.means
    others = np.stack([other[people == goal].mean(axis=0) for goal in subject.goals])
    if subject.strangers is not None and not target.encoder.served:
        some = subject.strangers
        last = np.unique(some.people)[:MOST][-1]
        rows, whose = templates(some.select((some.numbers < 2) & (some.people <= last)))
        pairs = [rows[whose == one] for one in np.unique(whose) if (whose == one).sum() == 2]
        if pairs:
            both = np.stack(pairs)
            stored = np.concatenate([stored, both[:, 0]])
            others = np.concatenate([others, both[:, 1]])
    return Enrolled(stored, others, np.arange(len(stored)), known, who)


def leaked_record(
    subject: VerifierSubject,
    protection: Protection | None,
    enrolled: Enrolled,
    keys: tuple[int, int],
    theirs: Mapping[str, Values],
    public: Mapping[str, Values],
    cells: Attacked | None = None,
) -> LeakedStore:
    """Returns what the report says of a store that has leaked.

    Args:
        subject: The verifier, with its store protected as in the cell.
        protection: Of the store, or ``None``.
        enrolled: Of :func:`enrolled_templates`.
        keys: Of the store, and of the one that takes its place.
        theirs: Attributes of the people.
        public: Those of public people.
        cells: What attacks made of one template and of several, where several have leaked.
    """
    verifier = subject.embedding
    assert verifier is not None, "the caller has checked this"
    measured = leaked(protection or Plain(key_known=True), enrolled, verifier, keys)
    rng = np.random.default_rng([keys[0], 5])
    told = told_attributes(verifier, enrolled, theirs, public, rng) if theirs else []
    return LeakedStore(
        first=Share.of(measured.found.first),
        candidates=measured.found.candidates,
        median_rank=measured.found.median,
        bits=bits_found(measured.found),
        linkable=measured.linkable,
        renewed=Share.of(measured.renewed),
        attributes=tuple(
            ToldAttribute(
                name=one.name,
                right=Share.of(one.right),
                guessed=Share.of(one.guessed),
                people=one.people,
            )
            for one in told
        ),
        many=None
        if cells is None or verifier.leak is None
        else many_record(verifier.leak, protection, enrolled, keys[0], cells),
    )
