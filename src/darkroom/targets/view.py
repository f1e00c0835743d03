"""All that an attack sees of a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.targets.base import ImageSpec, Target
from darkroom.targets.torch import TorchTarget


class View:
    """A target cut down to one access level, with a ledger that is charged before each answer.

    Attributes:
        access: The access level.
        ledger: Counts the rows.
    """

    def __init__(self, target: Target, access: Access, ledger: QueryLedger) -> None:
        """Cuts the target down.

        Args:
            target: The model as its owner reaches it.
            access: What a query shall return.
            ledger: Is charged for every row.

        Raises:
            TargetError: If the target cannot give that much.
        """
        if not target.access.includes(access):
            raise TargetError(
                f"target {target.name} answers {target.access} at most, but the attack needs "
                f"{access}: choose an attack for {target.access}"
            )
        self._target = target
        self.access = access
        self.ledger = ledger

    @property
    def spec(self) -> ImageSpec:
        """The images that the target takes."""
        return self._target.spec

    @property
    def classes(self) -> int:
        """How many classes the target tells apart."""
        return self._target.classes

    def scores(self, images: NDArray[np.float32], goals: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns every class's confidence; see :meth:`darkroom.targets.base.Target.scores`.

        Args:
            images: ``(n, channels, height, width)``.
            goals: The position of the goal that each row serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(Access.SCORES)
        self.ledger.charge(goals)
        return self._target.scores(images)

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
        assert isinstance(self._target, TorchTarget)  # the only kind whose access is WEIGHTS
        self.ledger.charge(goals)
        return self._target.log_scores(images)

    def _require(self, access: Access) -> None:
        if not self.access.includes(access):
            raise TargetError(f"this view allows {self.access}, but the attack asked for {access}")
