"""What leaked templates tell beside pictures: who it is, links between stores, attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.verifiers.measures.finding import (
    Found,
    found_together,
    found_with_key,
    found_without_key,
)
from darkroom.verifiers.measures.linking import linkage, unlinkability
from darkroom.verifiers.protection.base import Floats, Protection, renewed_key
from darkroom.verifiers.protection.outliers import trusted
from darkroom.verifiers.protection.recovery import recovered
from darkroom.verifiers.targets.base import Labels
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Leak

Values = Sequence[str | None]
"""A person's attribute in words, by number; ``None`` where it is not known."""


class Enrolled(NamedTuple):
    """Templates by which a store is measured, before they are protected.

    Attributes:
        stored: One of each person, ``(people, size)``.
        other: Of other photos of the same people, ``(people, size)``.
        people: Who each is, ``(people,)``; those enrolled come first.
        known: Of public photos, ``(photos, size)``.
        who: Who is on each of these, ``(photos,)``.
    """

    stored: Floats
    other: Floats
    people: Labels
    known: Floats
    who: Labels


class Told(NamedTuple):
    """An attribute told from templates.

    Attributes:
        name: The attribute.
        right: How often rightly.
        guessed: The same by the commonest value among public people.
        people: Of how many.
    """

    name: str
    right: Interval
    guessed: Interval
    people: int


class Leaked(NamedTuple):
    """What a leak of a store tells.

    Attributes:
        found: Where the right person stands among candidates.
        linkable: From 0 to 1, whether two stores with different keys can be linked (D-sys).
        renewed: How often what leaked is accepted by a store with new keys.
    """

    found: Found
    linkable: float
    renewed: Interval


def leaked(
    protection: Protection, enrolled: Enrolled, verifier: EmbeddingVerifier, keys: tuple[int, int]
) -> Leaked:
    """Measures a store that has leaked.

    Args:
        protection: Of the store.
        enrolled: Templates of people, and public ones.
        verifier: Of which the store is; has the metric and the operating point.
        keys: Of the store, and of the one that takes its place.
    """
    stored, other, people = enrolled.stored, enrolled.other, enrolled.people
    if protection.key_known:
        found = found_with_key(protection, stored, other, people, keys[0])
    else:
        firsts = np.unique(enrolled.who, return_index=True)[1]
        found = found_without_key(
            protection,
            stored,
            other,
            people,
            keys[0],
            pairs=protection.pairs or 0,
            others=enrolled.known[firsts],
        )
    linkable = unlinkability(*linkage(protection, stored, other, people, keys=keys))
    one, two = (protection.stored(stored, people, key) for key in keys)
    scores = np.array(
        [verifier.metric.scores(a[None], b[None])[0, 0] for a, b in zip(one, two, strict=True)]
    )
    assert verifier.threshold is not None, "the operating point comes first"
    accepted = int((scores >= verifier.threshold).sum())
    return Leaked(found, linkable, clopper_pearson(accepted, len(scores)))


def leaked_together(
    protection: Protection, leak: Leak, enrolled: Enrolled, key: int
) -> list[Found]:
    """Ranks candidates for one leaked template of each person, and for all of them together.

    The people are those of the leak; candidates are they, and whoever else is enrolled. A template
    that is unlike the others of its person is left out.

    Args:
        protection: Of the store; says whether the keys are known.
        leak: The templates.
        enrolled: Templates of other photos, of the people of the leak first.
        key: Of the first store.

    Returns:
        Where the right person stands by the first template, and by all.
    """
    people = np.arange(leak.templates.shape[1])
    count = len(leak.templates)
    keys = [renewed_key(key, number if leak.renewed else 0) for number in range(count)]
    kept = trusted(leak.templates, enrolled.known)
    firsts = np.unique(enrolled.who, return_index=True)[1]
    return [
        found_together(
            protection,
            leak.templates[:many],
            enrolled.other,
            people,
            keys[:many],
            kept=kept if many == count else np.ones((many, len(people)), np.bool_),
            others=enrolled.known[firsts],
        )
        for many in (1, count)
    ]


def told_attributes(
    verifier: EmbeddingVerifier,
    enrolled: Enrolled,
    theirs: Mapping[str, Values],
    public: Mapping[str, Values],
    rng: np.random.Generator,
) -> list[Told]:
    """Tells attributes of people from what is stored of them.

    A logistic regression learns from templates of public photos, and is asked about templates that
    were traced back as far as the attacker comes (:func:`.recovered`).

    Args:
        verifier: Whose store has leaked.
        enrolled: Has the public templates.
        theirs: For each attribute, the truth about the people enrolled, by number.
        public: The same for public people.
        rng: Draws what :func:`.recovered` draws.
    """
    rows = recovered(verifier.leaks(np.arange(verifier.people)), enrolled.known, rng)
    found = []
    for name in [one for one in theirs if one in public]:
        seen = np.array([public[name][who] is not None for who in enrolled.who])
        values = np.array([str(public[name][who]) for who in enrolled.who[seen]])
        asked = [row for row, value in enumerate(theirs[name]) if value is not None]
        if len(set(values.tolist())) < 2 or not asked:
            continue
        truth = np.array([theirs[name][row] for row in asked])
        model = LogisticRegression(C=10.0, max_iter=2000)
        said = model.fit(enrolled.known[seen], values).predict(rows[asked])
        common = max(sorted(set(values.tolist())), key=values.tolist().count)
        n = len(truth)
        found.append(
            Told(
                name,
                clopper_pearson(int((said == truth).sum()), n),
                clopper_pearson(int((truth == common).sum()), n),
                n,
            )
        )
    return found
