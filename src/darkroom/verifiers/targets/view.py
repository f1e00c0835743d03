"""All that an attack sees of a verifier."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from darkroom.access import Access, VerifierAccess
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.verifiers.targets.base import Floats, Images, Labels, Verifier
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, LeakedRows, ProtectedStore
from darkroom.verifiers.targets.metrics import Metric
from darkroom.vision.spec import ImageSpec


class View:
    """A verifier cut down to one access level, with a ledger charged before each answer.

    Goals are people enrolled, by their position among those attacked.

    Attributes:
        access: The most that a query returns, behind the output defences.
        ledger: Counts the rows, each charged to the goal that it serves.
        people: The person enrolled that each goal is, ``(goals,)``.
        defense: The output defences that the attacker knows of.
    """

    def __init__(
        self,
        verifier: Verifier,
        access: VerifierAccess,
        ledger: QueryLedger,
        people: Labels,
        *,
        defense: Pipeline | None = None,
        noise: np.random.Generator | None = None,
        told: bool = True,
    ) -> None:
        """Cuts the verifier down.

        Args:
            verifier: As its owner reaches it.
            access: What a query shall return; output defences may leave less.
            ledger: Is charged for every row.
            people: The person enrolled that each goal is.
            defense: What is changed of scores before the attacker sees them; who has a template
                and the encoder sees through it.
            noise: What the defences draw from.
            told: Whether the attacker knows of the defences.

        Raises:
            TargetError: If the verifier cannot give that much.
        """
        if not verifier.access.includes(access):
            raise verifier.refusal(access)
        self._verifier = verifier
        self._defense = defense or Pipeline()
        self._noise = noise or np.random.default_rng(0)
        self.defense = self._defense if told else Pipeline()
        self._told = told
        self.access = access
        self._hides = self._defense.effect.leaves is Access.LABEL
        if access is VerifierAccess.SCORE and self._hides and told:
            self.access = VerifierAccess.DECISION
        self.ledger = ledger
        self.people = people

    @property
    def effect(self) -> Effect:
        """What the defences that it knows of do to what can be learned of a score."""
        return self.defense.effect if self.access is VerifierAccess.SCORE else UNCHANGED

    @property
    def spec(self) -> ImageSpec:
        """The images that the verifier takes."""
        return self._verifier.spec

    @property
    def device(self) -> torch.device:
        """Where the encoder takes images best; templates come from where images were.

        Raises:
            TargetError: If the access level does not allow it.
        """
        return self._open(VerifierAccess.WEIGHTS).encoder.device

    @property
    def metric(self) -> Metric:
        """How templates of the encoder are compared.

        Raises:
            TargetError: If the access level does not allow it.
        """
        return self._open(VerifierAccess.TEMPLATE).template_metric

    def scores(self, images: Images, goals: Labels) -> Floats:
        """Returns how alike each photo and its goal are, ``(n,)``; more is more alike.

        Who is not told that decisions alone are shown sees 1 for accepted, and 0.

        Args:
            images: ``(n, channels, height, width)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(VerifierAccess.SCORE)
        if self._hides and self.access is VerifierAccess.SCORE:
            return self.decisions(images, goals).astype(np.float64)
        with self._verifier.billed(self.ledger.bill(goals)):
            found = self._verifier.scores(images, self.people[goals])
        if self.access is not VerifierAccess.SCORE:
            return found
        return self._defense(found[:, None], self._noise, images)[:, 0]

    def decisions(self, images: Images, goals: Labels) -> np.ndarray:
        """Tells which photos are accepted, bool ``(n,)``; arguments as :meth:`scores`.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        verifier, people = self._verifier, self.people[goals]
        with verifier.billed(self.ledger.bill(goals)):
            if not self._defense.defenses:
                return verifier.decisions(images, people)
            found = verifier.scores(images, people)
        assert verifier.threshold is not None, "the operating point comes first"
        seen = self._defense(found[:, None], self._noise, images)[:, 0]
        accepted: np.ndarray = seen >= verifier.threshold
        return accepted

    def templates(self, images: Images, goals: Labels) -> Floats:
        """Returns the templates of photos, ``(n, size)``; arguments as :meth:`scores`.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        verifier = self._open(VerifierAccess.TEMPLATE)
        with verifier.billed(self.ledger.bill(goals)):
            return verifier.encoder.templates(images)

    def differentiable_templates(self, images: Tensor, goals: Labels) -> Tensor:
        """Returns the same, differentiable in the images; a row and its gradient are one query.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        verifier = self._open(VerifierAccess.WEIGHTS)
        self.ledger.charge(goals)
        return verifier.encoder.differentiable_templates(images)

    @property
    def size(self) -> int:
        """The numbers in a template of the encoder.

        Raises:
            TargetError: If the access level does not allow it.
        """
        return self._open(VerifierAccess.TEMPLATE).encoder.size

    @cached_property
    def leaks(self) -> list[LeakedRows]:
        """What is stored of each goal and has leaked: an entry for each template of a goal.

        Raises:
            TargetError: If the access level does not allow it.
        """
        found = self._open(VerifierAccess.TEMPLATE).leaks(self.people)
        return found if self._told else [LeakedRows(one.rows, None) for one in found]

    @property
    def store(self) -> ProtectedStore | None:
        """What the attacker knows of how stored templates are protected; ``None`` for not at all.

        Raises:
            TargetError: If the access level does not allow it.
        """
        return self.leaks[0].store

    def _open(self, access: VerifierAccess) -> EmbeddingVerifier:
        self._require(access)
        assert isinstance(self._verifier, EmbeddingVerifier), "only these show so much"
        return self._verifier

    def _require(self, access: VerifierAccess) -> None:
        if not self.access.includes(access):
            raise TargetError(f"this view allows {self.access}, but the attack asked for {access}")
