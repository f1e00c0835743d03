"""A verifier that keeps protected templates."""

from __future__ import annotations

import hashlib

import numpy as np

from darkroom.named import identity
from darkroom.verifiers.protection.base import Floats, Protection, own_key, renewed_key
from darkroom.verifiers.targets.base import Labels
from darkroom.verifiers.targets.embedding import (
    EmbeddingVerifier,
    Leak,
    LeakedRows,
    ProtectedStore,
    Store,
)
from darkroom.verifiers.targets.metrics import NO_FACE, Metric, unit


class ProtectedVerifier(EmbeddingVerifier):
    """An encoder, and a store of protected templates, compared as they are stored.

    What is enrolled, and every photo that claims to be somebody, is protected with the key that
    the person has. Where templates are compared by their angle, they are protected at length one.

    Attributes:
        plain: The same without protection.
        protection: Of the store.
    """

    def __init__(self, plain: EmbeddingVerifier, protection: Protection, key: int) -> None:
        """Protects a store.

        Args:
            plain: Encoder, store and metric.
            protection: Of the store.
            key: The store's.
        """
        metric = plain.metric if protection.keeps else Metric.COSINE
        super().__init__(
            plain.encoder, plain.store, metric, threshold=plain.threshold, leak=plain.leak
        )
        self.plain, self.protection, self._key = plain, protection, key
        store = plain.store
        self._stored = protection.stored(self._ready(store.templates), store.people, key)
        self._starts = np.searchsorted(store.people, np.arange(self.people))

    @property
    def template_metric(self) -> Metric:
        """How templates are compared before they are protected."""
        return self.plain.metric

    @property
    def leaked(self) -> Floats:
        """What is stored of each person, ``(people, length)``; of several rows the first."""
        return self._stored[self._starts]

    def of_templates(self, templates: Floats) -> Floats:
        """Protects, and compares; see :meth:`EmbeddingVerifier.of_templates`."""
        faces = np.isfinite(templates).all(axis=1)
        found = np.full((len(templates), self.people), NO_FACE)
        ready, rows = self._ready(templates[faces]), np.flatnonzero(faces)
        if not len(rows):
            return found
        if not self.protection.own_keys:
            scores = self.metric.scores(self.protection.protected(ready, self._key), self._stored)
            found[rows] = np.maximum.reduceat(scores, self._starts, axis=1)
            return found
        for person in range(self.people):
            asked = self.protect(templates[faces], person)
            own = self._stored[self.store.people == person]
            found[rows, person] = self.metric.scores(asked, own).max(axis=1)
        return found

    def protect(self, templates: Floats, person: int) -> Floats:
        """Returns what would be stored of templates with a person's key, ``(n, length)``.

        Args:
            templates: ``(n, size)``.
            person: Whose key, where everybody has one.
        """
        key = own_key(self._key, person) if self.protection.own_keys else self._key
        return self.protection.protected(self._ready(templates), key)

    def leaks(self, people: Labels) -> list[LeakedRows]:
        """Returns what has leaked, protected as it was stored; see the base."""
        if self.leak is None:
            return super().leaks(people)
        own, everybody = self.protecting(people), np.arange(self.people)
        found = []
        for number, templates in enumerate(self.leak.templates):
            kept = self._renewed(number) if self.leak.renewed and number else self
            rows = self.protection.stored(self._ready(templates), everybody, kept._key)
            store = own if kept is self else kept.protecting(people)
            found.append(LeakedRows(rows[people], store))
        return found

    def leaking(self, leak: Leak) -> ProtectedVerifier:
        """Returns the same verifier, of which other templates have leaked; see the base."""
        made = ProtectedVerifier(self.plain.leaking(leak), self.protection, self._key)
        made.threshold = self.threshold
        return made

    def _renewed(self, number: int) -> ProtectedVerifier:
        """Returns the same verifier with the keys of a later store, 1 for the next."""
        return ProtectedVerifier(self.plain, self.protection, renewed_key(self._key, number))

    def enrolling(self, store: Store) -> ProtectedVerifier:
        """Returns the same verifier with other templates; see the base."""
        plain = self.plain.enrolling(store)
        made = ProtectedVerifier(plain, self.protection, self._key)
        made.threshold = self.threshold
        return made

    def protecting(self, people: Labels) -> ProtectedStore:
        """Returns how stored templates are protected; see the base."""
        one, pairs = self.protection, self.protection.pairs or 0
        return ProtectedStore(
            keeps=one.keeps,
            own_keys=one.own_keys,
            protect=(lambda rows, goal: self.protect(rows, int(people[goal])))
            if one.key_known
            else None,
            accounts=lambda rows: self.accounts(rows[:pairs]),
            pairs=pairs,
        )

    def accounts(self, templates: Floats) -> Floats:
        """Returns what is stored of further people, ``(n, length)``.

        Args:
            templates: Theirs, ``(n, size)``.
        """
        numbers = (self.people + np.arange(len(templates))).astype(np.int64)
        return self.protection.stored(self._ready(templates), numbers, self._key)

    def _ready(self, templates: Floats) -> Floats:
        return unit(templates) if self.plain.metric is Metric.COSINE else templates

    def fingerprint(self) -> str:
        """Returns a hash of the encoder, the store, the threshold, and how it is protected."""
        words = repr((super().fingerprint(), identity(self.protection), self._key))
        return hashlib.sha256(words.encode()).hexdigest()
