"""What is audited: a verifier, the photos that it enrolled people from, and others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.errors import DataError
from darkroom.verifiers.measures.operating import OperatingPoint, operating_point
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.verifier import ProtectedVerifier
from darkroom.verifiers.targets.base import Encoder, Floats, Verifier
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Leak, Store
from darkroom.verifiers.targets.metrics import Metric, unit
from darkroom.vision.photos import Photos
from darkroom.vision.spec import ImageSpec
from darkroom.vision.subject import PhotoSubject

Rule = Literal["mean", "best", "the server's choice"]

FEWEST_STRANGERS = 10
"""Strangers by whom a false-accept rate says something."""


@dataclass(frozen=True)
class VerifierSubject(PhotoSubject):
    """A verifier with the truth about it.

    Attributes:
        target: The verifier, with the people enrolled.
        private: Photos of these people.
        trained: Which of the photos were enrolled, bool ``(photos,)``.
        public: Photos of other people, whom an attacker has.
        strangers: Photos of people who take part in nothing, or ``None``.
        rule: How several photos of a person were enrolled.
        operating: From which score on it accepts, and whom wrongly.
        impostors: Photos of strangers by whom the operating point was found: of those apart, if
            there are.
        impostor_scores: What it says of these for everybody, ``(photos, people)``.
        faceless: How many photos of the people get no score; ``None`` where enrolment did not ask
            about all.
    """

    target: Verifier
    private: Photos
    trained: NDArray[np.bool_]
    public: Photos
    strangers: Photos | None
    rule: Rule
    operating: OperatingPoint
    impostors: Photos
    impostor_scores: Floats
    faceless: int | None = None

    key = "enrol"
    saw = "that were enrolled"

    def __post_init__(self) -> None:
        """Refuses what cannot be judged.

        Raises:
            DataError: If there are fewer than two people, or somebody has no enrolled photo.
        """
        if len(self.goals) < 2:
            raise DataError(
                f"photos of {len(self.goals)} person are enrolled: a judge needs at least two "
                "people to choose from"
            )
        _require_enrolled(self.private, self.trained)

    @property
    def spec(self) -> ImageSpec:
        """The images that the verifier takes."""
        return self.target.spec

    @property
    def device(self) -> torch.device:
        """Where the encoder is; see :attr:`PhotoSubject.device`."""
        return super().device if self.embedding is None else self.embedding.encoder.device

    @property
    def embedding(self) -> EmbeddingVerifier | None:
        """The verifier, if it compares templates here."""
        return self.target if isinstance(self.target, EmbeddingVerifier) else None

    @cached_property
    def other_templates(self) -> EmbeddingVerifier | None:
        """The same verifier with people enrolled from their other photos.

        ``None`` where there are none, or where a server enrols.
        """
        target = self.embedding
        if target is None or not np.isin(self.goals, self.held_out.people).all():
            return None
        try:
            store = enrolled(target.encoder, self.held_out, target.template_metric, self.rule)
        except DataError:  # no face is found in them
            return None
        return target.enrolling(store)

    def with_leak(self, leak: Leak) -> VerifierSubject:
        """Returns the same people, of whom other templates have leaked.

        Args:
            leak: They; the verifier compares templates here.
        """
        target = self.embedding
        assert target is not None, "the caller has checked this"
        return replace(self, target=target.leaking(leak))

    def digest(self) -> str:
        """Returns a hash of the verifier and all photos."""
        parts = [self.target.fingerprint(), self.rule, *self.parts]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def _require_enrolled(photos: Photos, chosen: NDArray[np.bool_]) -> None:
    """Refuses a person without an enrolled photo.

    Raises:
        DataError: If there is one; the message names that person.
    """
    people = np.unique(photos.people)
    missing = people[~np.isin(people, photos.people[chosen])]
    if len(missing):
        raise DataError(
            f"no photo of {photos.names[int(missing[0])]} is enrolled, nor of "
            f"{len(missing) - 1} others: choose photos that everybody has ([private] enrol), or "
            "leave these people out ([private] people)"
        )


def enrolled(encoder: Encoder, photos: Photos, metric: Metric, rule: Rule = "mean") -> Store:
    """Enrols people by their photos.

    Args:
        encoder: Turns photos into templates.
        photos: Of everybody; their numbers become 0, 1 and so on in their order.
        metric: With ``cosine``, templates are averaged as directions.
        rule: Whether the ``mean`` of a person's templates is kept, or all, of which the ``best``
            counts.

    Raises:
        DataError: If no face is found in any photo of somebody.
    """
    found = encoder.templates(photos.images)
    people = np.unique(photos.people, return_inverse=True)[1].astype(np.int64)
    faces = np.isfinite(found).all(axis=1)
    missing = sorted(set(people.tolist()) - set(people[faces].tolist()))
    if missing:
        name = photos.names[int(np.unique(photos.people)[missing[0]])]
        raise DataError(
            f"enrolment: {encoder.name} finds no face in any photo of {name}: give other photos, "
            "or set [target] detect = false where photos are cropped to the face"
        )
    found, people = found[faces], people[faces]
    if metric is Metric.COSINE:
        found = unit(found)
    store = Store(found, people, int((~faces).sum()))
    return store if rule == "best" else Store(store.means, store.everybody, store.faceless)


# long: every choice of an enrolment is a parameter of its own
def enrol(
    encoder: Encoder,
    private: Photos,
    chosen: NDArray[np.bool_],
    public: Photos,
    strangers: Photos | None,
    *,
    metric: Metric = Metric.COSINE,
    rule: Rule = "mean",
    threshold: float | None = None,
    false_accepts: float = 0.001,
    store: Store | None = None,
) -> VerifierSubject:
    """Enrols people, and finds the operating point.

    Args:
        encoder: Turns photos into templates.
        private: Photos of the people.
        chosen: Which of them are enrolled, bool ``(photos,)``.
        public: Photos of other people, whom an attacker has.
        strangers: Photos of people who take part in nothing, or ``None``.
        metric: How templates are compared.
        rule: How several photos of a person are enrolled.
        threshold: The operating point in the owner's units, where it is given.
        false_accepts: The share of strangers whom the verifier may accept, where it is not.
        store: Templates that are stored already, in place of those of the photos.

    Raises:
        DataError: If photos do not fit, or there are too few; or if the store is not this
            encoder's.
    """
    _require_fitting(encoder.spec, private, public, strangers)
    _require_enrolled(private, chosen)
    if store is None:
        store = enrolled(encoder, private.select(chosen), metric, rule)
    else:
        store = _kept(store, encoder, metric, rule)
    return settled(
        EmbeddingVerifier(encoder, store, metric),
        private,
        chosen,
        public,
        strangers,
        rule=rule,
        threshold=threshold,
        false_accepts=false_accepts,
        faceless=store.faceless,
    )


def _kept(store: Store, encoder: Encoder, metric: Metric, rule: Rule) -> Store:
    """Returns templates that are stored already, as the rule keeps them.

    Raises:
        DataError: If the encoder makes others.
    """
    size = store.templates.shape[1]
    if encoder.size not in (0, size):
        raise DataError(
            f"[target] templates have {size} numbers, and {encoder.name} makes {encoder.size}: "
            "give the encoder that made them"
        )
    found = unit(store.templates) if metric is Metric.COSINE else store.templates
    store = Store(found, store.people)
    return store if rule == "best" else Store(store.means, store.everybody)


# long: every choice is a parameter of its own
def settled(
    target: Verifier,
    private: Photos,
    chosen: NDArray[np.bool_],
    public: Photos,
    strangers: Photos | None,
    *,
    rule: Rule,
    threshold: float | None = None,
    false_accepts: float = 0.001,
    pairs: int | None = None,
    faceless: int | None = None,
) -> VerifierSubject:
    """Finds the operating point of a verifier that has enrolled people.

    Args:
        target: The verifier; its threshold is set.
        private: Photos of the people.
        chosen: Which of them are enrolled, bool ``(photos,)``.
        public: Photos of other people, whom an attacker has.
        strangers: Photos of people who take part in nothing, or ``None``.
        rule: How several photos of a person are enrolled.
        threshold: The operating point in the owner's units, where it is given.
        false_accepts: The share of strangers whom the verifier may accept, where it is not.
        pairs: The most pairs of a stranger's photo and a person to ask about; all when left out.
        faceless: In how many of the enrolled photos no face was found, where that is known.

    Raises:
        DataError: If photos do not fit, or there are too few.
    """
    _require_fitting(target.spec, private, public, strangers)
    impostors = public if strangers is None else strangers
    if pairs is not None:
        impostors = _first(impostors, max(FEWEST_STRANGERS, pairs // target.people))
    scores = target.matrix(impostors.images)
    others = private.select(~chosen)
    places = np.searchsorted(np.unique(private.people), others.people)
    genuine = target.scores(others.images, places)
    operating = operating_point(
        scores,
        impostors.people,
        genuine,
        threshold=None if threshold is None else target.metric.of_score(threshold),
        rate=false_accepts,
    )
    target.threshold = operating.threshold
    missing = None if faceless is None else faceless + int((~np.isfinite(genuine)).sum())
    return VerifierSubject(
        target, private, chosen, public, strangers, rule, operating, impostors, scores, missing
    )


def behind(subject: VerifierSubject, protection: Protection, key: int) -> VerifierSubject:
    """Returns the people in a store that protects templates, at as many false accepts.

    Args:
        subject: The verifier without protection, which compares templates here.
        protection: Of the store.
        key: The store's.
    """
    plain, point = subject.embedding, subject.operating
    assert plain is not None, "the plan has checked this"
    given = plain.metric.of_score(point.threshold) if protection.keeps else None
    least = 1 / subject.impostor_scores.size
    return settled(
        ProtectedVerifier(plain, protection, key),
        subject.private,
        subject.trained,
        subject.public,
        subject.strangers,
        rule=subject.rule,
        threshold=given if point.wanted is None else None,
        false_accepts=max(point.wanted or point.false_accepts.estimate, least),
    )


def _require_fitting(
    spec: ImageSpec, private: Photos, public: Photos, strangers: Photos | None
) -> None:
    """Refuses photos that the verifier does not take, and too few strangers.

    Raises:
        DataError: If there are such.
    """
    given = [(private, "enrolled photos"), (public, "public photos")]
    if strangers is not None:
        given.append((strangers, "photos of strangers"))
    for photos, what in given:
        spec.check(photos.images, what)
    count = len(np.unique(given[-1][0].people))
    if count < FEWEST_STRANGERS:
        raise DataError(
            f"{count} strangers are too few to say whom the verifier accepts wrongly: give "
            f"photos of {FEWEST_STRANGERS} or more people in [public] or [judges] strangers"
        )


def _first(photos: Photos, count: int) -> Photos:
    """Returns so many photos, the first of everybody before the second of anybody."""
    chosen = np.zeros(len(photos.people), np.bool_)
    chosen[np.lexsort((photos.people, photos.numbers))[:count]] = True
    return photos.select(chosen)
