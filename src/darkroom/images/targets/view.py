"""All that an attack sees of a target."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.defenses.base import largest
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.ledger import QueryLedger
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import TopK


class View:
    """A target cut down to one access level, with a ledger that is charged before each answer.

    Attributes:
        access: The most that a query returns, behind the output defences.
        ledger: Counts the rows.
        defense: The output defences that the attacker knows of. That is all of them (Kerckhoffs),
            but neither the noise they draw nor their secrets nor the answers before them; a naive
            attacker knows of none.
        k: How many classes an answer of ``top_k`` names.
    """

    def __init__(
        self,
        target: Target,
        access: Access,
        ledger: QueryLedger,
        *,
        defense: Pipeline | None = None,
        noise: np.random.Generator | None = None,
        k: int = 5,
        told: bool = True,
    ) -> None:
        """Cuts the target down.

        Args:
            target: The model as its owner reaches it.
            access: What a query shall return; output defences may leave less.
            ledger: Is charged for every row.
            defense: What is changed of the answers before the attacker sees them; who has the
                weights sees through it.
            noise: What the defences draw from.
            k: How many classes ``top_k`` shall name.
            told: Whether the attacker knows of the defences. One who does not takes what comes for
                the model's own answers: scores remain scores, however many of them are zero.

        Raises:
            TargetError: If the target cannot give that much, or shows too little for a defence.
        """
        if defense is not None and defense.defenses and not target.access.includes(Access.SCORES):
            raise TargetError(
                f"target {target.name} answers {target.access} at most: output defences can be "
                "tried on scores alone; leave out [[defense]]"
            )
        if not target.access.includes(access):
            raise TargetError(
                f"target {target.name} answers {target.access} at most, but the attack needs "
                f"{access}: choose an attack for {target.access}"
            )
        self._target = target
        self._noise = noise or np.random.default_rng(0)
        self._defense = defense or Pipeline()
        self.defense = self._defense if told else Pipeline()
        self.access = access
        if access is not Access.WEIGHTS and access.includes(self.effect.leaves):
            self.access = self.effect.leaves
        self.ledger = ledger
        kept = self.effect.kept
        self.k = min(k, target.largest_k, k if kept is None else kept)

    @property
    def effect(self) -> Effect:
        """What those defences do to what can be learned; nothing to who has the weights."""
        return UNCHANGED if self.access is Access.WEIGHTS else self.defense.effect

    @property
    def spec(self) -> ImageSpec:
        """The images that the target takes."""
        return self._target.spec

    @property
    def device(self) -> torch.device:
        """Where the target takes images best; answers with a gradient come from where they were."""
        return self._target.device

    @property
    def classes(self) -> int:
        """How many classes the target tells apart."""
        return self._target.classes

    def scores(self, images: NDArray[np.float32], goals: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns every class's confidence; see :meth:`darkroom.images.targets.base.Target.scores`.

        Args:
            images: ``(n, channels, height, width)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(Access.SCORES)
        return self._scores(images, goals)

    def top_k(self, images: NDArray[np.float32], goals: NDArray[np.int64]) -> TopK:
        """Returns the classes of the largest confidences, and those; arguments as ``scores``.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(Access.TOP_K)
        if not self._target.access.includes(Access.SCORES):
            with self._target.billed(self.ledger.bill(goals)):
                return self._target.top_k(images, self.k)
        answers = self._scores(images, goals)
        classes = largest(answers, self.k)
        return TopK(classes, np.take_along_axis(answers, classes, axis=1))

    def labels(self, images: NDArray[np.float32], goals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the winning class of each row, int64 ``(n,)``; arguments as ``scores``.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        if not self._target.access.includes(Access.SCORES):
            with self._target.billed(self.ledger.bill(goals)):
                return self._target.labels(images)
        winners: NDArray[np.int64] = self._scores(images, goals).argmax(axis=1)
        return winners

    def _scores(self, images: NDArray[np.float32], goals: NDArray[np.int64]) -> NDArray[np.float64]:
        """Charges the rows, asks the target, and lets the defences change what it says."""
        with self._target.billed(self.ledger.bill(goals)):
            answers = self._target.scores(images)
        if self.access is Access.WEIGHTS:
            return answers
        return self._defense(answers, self._noise, images)

    def log_scores(self, images: Tensor, goals: NDArray[np.int64]) -> Tensor:
        """Returns every class's log-confidence, differentiable in the images.

        A row and its gradient count as one query.

        Args:
            images: ``(n, channels, height, width)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(Access.WEIGHTS)
        self.ledger.charge(goals)
        return self._target.log_scores(images)

    def _require(self, access: Access) -> None:
        if not self.access.includes(access):
            raise TargetError(f"this view allows {self.access}, but the attack asked for {access}")
