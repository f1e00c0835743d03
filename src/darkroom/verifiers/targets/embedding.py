"""A verifier that keeps a template of everybody, and compares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from darkroom.access import VerifierAccess
from darkroom.ledger import Bill
from darkroom.verifiers.targets.base import Encoder, Floats, Images, Labels, Verifier
from darkroom.verifiers.targets.metrics import Metric


@dataclass(frozen=True)
class Store:
    """The templates of the people enrolled.

    Attributes:
        templates: ``(templates, size)``.
        people: Whose each is, ``(templates,)``, sorted.
    """

    templates: Floats
    people: Labels

    @property
    def means(self) -> Floats:
        """One template a person, their average, ``(people, size)``."""
        return np.stack(
            [self.templates[self.people == person].mean(axis=0) for person in self.everybody]
        )

    @property
    def everybody(self) -> Labels:
        """The people, ``(people,)``."""
        return np.unique(self.people)


@dataclass(frozen=True)
class ProtectedStore:
    """What an attacker knows of a store of protected templates.

    Attributes:
        keeps: Whether protection leaves distances and angles alone, as a rotation does.
        own_keys: Whether everybody has a key of their own.
        protect: Where the keys are known: what templates ``(n, size)`` become with the key that the
            goal at a position has.
        accounts: What is stored of the attacker's own accounts, whose templates are the first
            ``pairs`` of ``(n, size)``.
        pairs: How many there are.
    """

    keeps: bool
    own_keys: bool
    protect: Callable[[Floats, int], Floats] | None
    accounts: Callable[[Floats], Floats]
    pairs: int


class EmbeddingVerifier(Verifier):
    """An encoder, a store of templates, and a threshold.

    Attributes:
        encoder: Turns photos into templates.
        store: The templates of the people enrolled.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: Store,
        metric: Metric,
        *,
        threshold: float | None = None,
    ) -> None:
        """Puts them together.

        Args:
            encoder: Turns photos into templates.
            store: Of the people enrolled, numbered from 0.
            metric: How templates are compared.
            threshold: The score from which on it accepts, if it is known.
        """
        self.encoder, self.store, self.metric = encoder, store, metric
        self.name, self.spec, self.notes = encoder.name, encoder.spec, encoder.notes
        self.people = len(store.everybody)
        self.threshold = threshold
        self.access = VerifierAccess.WEIGHTS if encoder.differentiable else VerifierAccess.TEMPLATE

    @property
    def template_metric(self) -> Metric:
        """How the encoder's templates are compared."""
        return self.metric

    @property
    def leaked(self) -> Floats:
        """What is stored of each person, ``(people, length)``; of several templates the mean."""
        return self.store.means

    def enrolling(self, store: Store) -> EmbeddingVerifier:
        """Returns the same verifier with other templates.

        Args:
            store: They.
        """
        return EmbeddingVerifier(self.encoder, store, self.metric, threshold=self.threshold)

    def protecting(self, people: Labels) -> ProtectedStore | None:  # noqa: ARG002
        """Returns how stored templates are protected, to whoever is told; ``None`` for not at all.

        Args:
            people: The person that each goal is.
        """
        return None

    def scores(self, images: Images, people: Labels) -> Floats:
        """Compares; see :meth:`Verifier.scores`."""
        found = self.of_templates(self.encoder.templates(images))
        return found[np.arange(len(images)), people]

    def matrix(self, images: Images) -> Floats:
        """Compares with everybody; see :meth:`Verifier.matrix`."""
        return self.of_templates(self.encoder.templates(images))

    def of_templates(self, templates: Floats) -> Floats:
        """Returns the score of each template for everybody, ``(n, people)``.

        Args:
            templates: ``(n, size)``.
        """
        found = self.metric.scores(templates, self.store.templates)
        starts = np.searchsorted(self.store.people, np.arange(self.people))
        best: Floats = np.maximum.reduceat(found, starts, axis=1)
        return best

    def billed(self, bill: Bill) -> AbstractContextManager[None]:
        """Corrects what a query was charged."""
        return self.encoder.billed(bill)

    def fingerprint(self) -> str:
        """Returns a hash of the encoder, the store and the threshold."""
        digest = hashlib.sha256(self.encoder.fingerprint().encode())
        digest.update(repr((self.metric, self.threshold, self.store.people.tolist())).encode())
        digest.update(np.ascontiguousarray(self.store.templates).tobytes())
        return digest.hexdigest()
