"""Several leaked templates of each person: which they are, and what they tell beside one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darkroom.auditing.record import Bits, Share
from darkroom.errors import DataError
from darkroom.statistics.intervals import clopper_pearson
from darkroom.verifiers.measures.finding import Found
from darkroom.verifiers.measures.leaked import Enrolled, leaked_together
from darkroom.verifiers.plan import LeakSection
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.outliers import unlike
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.record import LeakedSoMany, ManyLeaked, VerifierCell
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Leak, Store
from darkroom.verifiers.targets.metrics import Metric, unit


def leaking(
    subject: VerifierSubject, section: LeakSection, stored: Store | None = None
) -> VerifierSubject:
    """Returns a subject of which several templates of each person have leaked.

    Args:
        subject: Compares templates here, without protection.
        section: How many, and of what.
        stored: Templates that are stored already, of which the first of everybody are taken; those
            of enrolled photos when left out.

    Raises:
        DataError: If the verifier keeps no templates here, or somebody has fewer.
    """
    target = subject.embedding
    if target is None:
        raise DataError(
            "[leak] is about templates that are stored here, and a server compares these photos: "
            "leave [leak] out"
        )
    if section.renewed:
        one = target.store.means
        return subject.with_leak(Leak(np.repeat(one[None], section.templates, axis=0), True))
    chosen = _of_photos(subject, target) if stored is None else stored
    rows = [chosen.templates[chosen.people == one] for one in range(target.people)]
    for number, own in enumerate(rows):
        if len(own) < section.templates:
            name = subject.private.names[int(subject.goals[number])]
            raise DataError(
                f"[leak] templates = {section.templates}, but {name} has {len(own)}: enrol more "
                "photos ([private] enrol), or let fewer leak"
            )
    found = np.stack([own[: section.templates] for own in rows], axis=1)
    return subject.with_leak(
        Leak(unit(found) if target.metric is Metric.COSINE else found, renewed=False)
    )


def _of_photos(subject: VerifierSubject, target: EmbeddingVerifier) -> Store:
    """Returns a template of each enrolled photo with a face."""
    seen = subject.seen
    found = target.encoder.templates(seen.images)
    faces = np.isfinite(found).all(axis=1)
    return Store(found[faces], np.searchsorted(subject.goals, seen.people[faces]))


class Attacked(NamedTuple):
    """What attacks made of one template of each person, and of all.

    Attributes:
        one: The cell of an attacker who has the first of each.
        together: That of one who has all.
    """

    one: VerifierCell
    together: VerifierCell


def many_record(
    leak: Leak, protection: Protection | None, enrolled: Enrolled, key: int, cells: Attacked
) -> ManyLeaked:
    """Returns what the report says of one template against several.

    Args:
        leak: The templates.
        protection: Of the store, or ``None``.
        enrolled: Templates of other photos.
        key: Of the first store.
        cells: What attacks made of them.
    """
    one, together = leaked_together(protection or Plain(key_known=True), leak, enrolled, key)
    return ManyLeaked(
        renewed=leak.renewed,
        candidates=one.candidates,
        unlike=int(unlike(leak.templates, enrolled.known).sum()),
        one=_so_many(1, one, cells.one),
        together=_so_many(len(leak.templates), together, cells.together),
    )


def _so_many(count: int, found: Found, cell: VerifierCell) -> LeakedSoMany:
    people = cell.details.people
    accepted = sum(one.accepted for one in people)
    return LeakedSoMany(
        templates=count,
        first=Share.of(found.first),
        median_rank=found.median,
        bits=bits_found(found),
        accepted=Share.of(clopper_pearson(accepted, len(people))),
        shown=cell.details.likeness.shown,
        picture_bits=cell.bits,
    )


def bits_found(found: Found) -> Bits:
    """Returns the bits of a rank as a record has them; ``most`` is what always first would be."""
    most = float(np.log2(np.arange(1, found.candidates + 1)).mean())
    bits = found.bits
    return Bits(estimate=bits.estimate, low=bits.low, high=bits.high, most=most)
