"""A verifier that keeps a template of everybody, and compares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

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
        faceless: In how many photos no face was found when people were enrolled here.
    """

    templates: Floats
    people: Labels
    faceless: int | None = None

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


@dataclass(frozen=True)
class Leak:
    """Several templates of everybody that have leaked, before any protection.

    Attributes:
        templates: ``(templates, people, size)``; of length one where angles are compared.
        renewed: Whether each comes from a store with new keys; else all stand in one store.
    """

    templates: Floats
    renewed: bool

    def first(self, count: int) -> Leak:
        """Returns the first so many templates of everybody."""
        return replace(self, templates=self.templates[:count])


def joint(stores: Sequence[ProtectedStore | None]) -> ProtectedStore:
    """Returns what is known of several stores of the same templates, laid side by side.

    Args:
        stores: Each with keys of its own.
    """
    known = [one for one in stores if one is not None]
    protects = [one.protect for one in known if one.protect is not None]
    return ProtectedStore(
        keeps=False,
        own_keys=known[0].own_keys,
        protect=None
        if len(protects) < len(known)
        else lambda rows, goal: np.concatenate([one(rows, goal) for one in protects], axis=1),
        accounts=lambda rows: np.concatenate([one.accounts(rows) for one in known], axis=1),
        pairs=known[0].pairs,
    )


@dataclass(frozen=True)
class LeakedRows:
    """One stored template of each goal, as an attacker has it.

    Attributes:
        rows: ``(goals, length)``.
        store: What is known of how they are protected; ``None`` for nothing.
    """

    rows: Floats
    store: ProtectedStore | None


class EmbeddingVerifier(Verifier):
    """An encoder, a store of templates, and a threshold.

    Attributes:
        encoder: Turns photos into templates.
        store: The templates of the people enrolled.
        leak: Which templates of them have leaked; ``None`` for one of each, as the store has it.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: Store,
        metric: Metric,
        *,
        threshold: float | None = None,
        leak: Leak | None = None,
    ) -> None:
        """Puts them together.

        Args:
            encoder: Turns photos into templates.
            store: Of the people enrolled, numbered from 0.
            metric: How templates are compared.
            threshold: The score from which on it accepts, if it is known.
            leak: Several templates of each person that have leaked.
        """
        self.encoder, self.store, self.metric = encoder, store, metric
        self.name, self.spec, self.notes = encoder.name, encoder.spec, encoder.notes
        self.people = len(store.everybody)
        self.threshold, self.leak = threshold, leak
        self.access = VerifierAccess.WEIGHTS if encoder.differentiable else VerifierAccess.TEMPLATE

    @property
    def template_metric(self) -> Metric:
        """How the encoder's templates are compared."""
        return self.metric

    @property
    def leaked(self) -> Floats:
        """What is stored of each person, ``(people, length)``; of several templates the mean."""
        return self.store.means

    def leaks(self, people: Labels) -> list[LeakedRows]:
        """Returns what has leaked of some people: one entry for each template of a person.

        Args:
            people: The person that each goal is.
        """
        if self.leak is None:
            return [LeakedRows(self.leaked[people], self.protecting(people))]
        return [LeakedRows(one[people], None) for one in self.leak.templates]

    def leaking(self, leak: Leak) -> EmbeddingVerifier:
        """Returns the same verifier, of which other templates have leaked.

        Args:
            leak: They.
        """
        return EmbeddingVerifier(
            self.encoder, self.store, self.metric, threshold=self.threshold, leak=leak
        )

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
        if self.leak is not None:
            digest.update(repr((self.leak.renewed, self.leak.templates.shape)).encode())
            digest.update(np.ascontiguousarray(self.leak.templates).tobytes())
        return digest.hexdigest()
