"""What every target is: a model as the attacker reaches it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.ledger import Bill
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import TopK


class Target(ABC):
    """A model under audit. Owns its shape, range, class count and device, so no attack does.

    A subclass writes the one method that its ``access`` names: :meth:`scores`, :meth:`top_k` or
    :meth:`labels`; for ``weights`` both :meth:`scores` and :meth:`log_scores`. Whatever shows less
    follows from it; whatever would show more is refused.

    Attributes:
        name: What reports call it.
        spec: The images it takes.
        classes: How many classes it tells apart.
        access: The most that a query to it can return.
        outputs: What the model itself returns: ``logits``, ``probabilities`` or ``labels``.
        served: Whether others serve it, so that every row costs somebody's quota.
        notes: What was found out about the model without being told, in words that follow "it".
        device: Where :meth:`log_scores` takes images best, and answers.
    """

    name: str
    spec: ImageSpec
    classes: int
    access: Access
    outputs: str
    served: ClassVar[bool] = False
    notes: tuple[str, ...] = ()
    device: torch.device = torch.device("cpu")

    @property
    def largest_k(self) -> int:
        """The largest ``k`` of :meth:`top_k`; all classes unless the server gives fewer."""
        return self.classes

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:  # noqa: ARG002
        """Returns the confidence of every class.

        Args:
            images: ``(n, channels, height, width)`` in the target's range; ``n`` may be 0.

        Returns:
            Float64 ``(n, classes)``, non-negative; every row sums to one.

        Raises:
            TargetError: If the target shows less than scores, or the model answers something that
                cannot be turned into probabilities.
        """
        raise self._refusal(Access.SCORES)

    def log_scores(self, images: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the logarithm of every class's confidence, differentiable in ``images``.

        Args:
            images: Float32 ``(n, channels, height, width)`` in the target's range.

        Returns:
            ``(n, classes)``; the exponentials of a row sum to one.

        Raises:
            TargetError: If the target shows no gradients, or the model's answers are unusable.
        """
        raise self._refusal(Access.WEIGHTS)

    def top_k(self, images: NDArray[np.float32], k: int) -> TopK:
        """Returns the ``k`` most confident classes; among equals the lower class comes first.

        Args:
            images: ``(n, channels, height, width)`` in the target's range; ``n`` may be 0.
            k: How many classes, from 1 to ``largest_k``.

        Raises:
            TargetError: If the target shows labels alone, if ``k`` is out of bounds, or if the
                model's answers are unusable.
        """
        if not self.access.includes(Access.SCORES):
            raise self._refusal(Access.TOP_K)
        self._check_k(k)
        scores = self.scores(images)
        classes = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)
        return TopK(classes, np.take_along_axis(scores, classes, axis=1))

    def labels(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Returns the winning class of each row; among equals the lower class.

        Args:
            images: ``(n, channels, height, width)`` in the target's range; ``n`` may be 0.

        Returns:
            Int64 ``(n,)``, from 0 to ``classes - 1``.

        Raises:
            TargetError: If the model's answers are unusable.
        """
        if self.access.includes(Access.SCORES):
            labels: NDArray[np.int64] = self.scores(images).argmax(axis=1).astype(np.int64)
            return labels
        return self.top_k(images, 1).classes[:, 0]

    def billed(self, bill: Bill) -> AbstractContextManager[None]:  # noqa: ARG002
        """Keeps the ledger true, as long as the context lasts, to what the server saw.

        All rows of a query are charged before it begins. A row that went out and was not answered
        may have been seen by the server: a target that sends it once more calls ``bill.again``
        first, and an error raised there ends the query and reaches the caller. When a query fails,
        rows that never left are told to ``bill.unsent``. A model in this process does neither.

        Args:
            bill: Of the next query, for as many rows as it asks about.
        """
        return nullcontext()

    @abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of all that decides the target's answers, as hexadecimal digits."""

    def _check_k(self, k: int) -> None:
        if not 1 <= k <= self.largest_k:
            raise TargetError(
                f"target {self.name} returns the best 1 to {self.largest_k} classes: ask for as "
                f"many, not for {k}"
            )

    def _refusal(self, access: Access) -> TargetError:
        return TargetError(
            f"target {self.name} answers {self.access} at most, never {access}: choose an attack "
            f"for {self.access}"
        )
