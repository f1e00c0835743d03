"""What every verifier is: a way to say how alike a photo and an enrolled person are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import VerifierAccess
from darkroom.errors import TargetError
from darkroom.ledger import Bill
from darkroom.verifiers.targets.metrics import Metric
from darkroom.vision.spec import ImageSpec

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


class Encoder(ABC):
    """Turns photos into templates: vectors of which those of one person lie together.

    Attributes:
        name: What reports call it.
        spec: The images it takes.
        size: The numbers in a template.
        differentiable: Whether :meth:`differentiable_templates` works.
        device: Where that takes images best; templates come from where images were.
        notes: What was found out about it without being told.
    """

    name: str
    spec: ImageSpec
    size: int
    differentiable: bool = False
    device: torch.device = torch.device("cpu")
    served: ClassVar[bool] = False
    notes: tuple[str, ...] = ()

    @abstractmethod
    def templates(self, images: Images) -> Floats:
        """Returns the template of each photo.

        Args:
            images: ``(n, channels, height, width)`` in the encoder's range; ``n`` may be 0.

        Returns:
            Float64 ``(n, size)``; a row of NaN where it finds no face.
        """

    def differentiable_templates(self, images: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the same, differentiable in the images.

        Raises:
            TargetError: If the encoder has no gradient.
        """
        raise TargetError(f"target {self.name}: no gradient goes through it: choose evolution")

    def billed(self, bill: Bill) -> AbstractContextManager[None]:  # noqa: ARG002
        """Corrects what a query was charged; see ``Target.billed`` of images."""
        return nullcontext()

    @abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of all that decides templates, as hexadecimal digits."""


class Verifier(ABC):
    """A verifier with its people enrolled.

    Attributes:
        name: What reports call it.
        spec: The images it takes.
        access: The most that a query to it can return.
        metric: How templates are compared, and what scores mean.
        people: How many are enrolled, numbered from 0.
        threshold: The score from which on it accepts; ``None`` before it is known.
        served: Whether others serve it, so that every row costs somebody's quota.
        notes: What was found out about it without being told.
    """

    name: str
    spec: ImageSpec
    access: VerifierAccess
    metric: Metric
    people: int
    threshold: float | None
    served: ClassVar[bool] = False
    notes: tuple[str, ...] = ()

    @abstractmethod
    def scores(self, images: Images, people: Labels) -> Floats:
        """Returns how alike each photo and an enrolled person are; more is more alike.

        Args:
            images: ``(n, channels, height, width)`` in the verifier's range; ``n`` may be 0.
            people: Whom each claims to show, ``(n,)``.

        Returns:
            Float64 ``(n,)``: for distances their negative; negative infinity where there is no
            face. Of a verifier that answers decisions alone, 1 for accepted and 0 for refused.
        """

    def matrix(self, images: Images) -> Floats:
        """Returns the score of each photo for everybody, ``(n, people)``.

        Args:
            images: ``(n, channels, height, width)``.
        """
        columns = [
            self.scores(images, np.full(len(images), person)) for person in range(self.people)
        ]
        return np.stack(columns, axis=1)

    def decisions(self, images: Images, people: Labels) -> NDArray[np.bool_]:
        """Tells which photos are accepted, ``(n,)``; arguments as :meth:`scores`."""
        assert self.threshold is not None, "the operating point comes first"
        accepted: NDArray[np.bool_] = self.scores(images, people) >= self.threshold
        return accepted

    def billed(self, bill: Bill) -> AbstractContextManager[None]:  # noqa: ARG002
        """Corrects what a query was charged; see ``Target.billed`` of images."""
        return nullcontext()

    @abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of all that decides answers, as hexadecimal digits."""

    def refusal(self, access: VerifierAccess) -> TargetError:
        """Returns what says that it shows less."""
        return TargetError(
            f"target {self.name} answers {self.access} at most, never {access}: choose an attack "
            f"for {self.access}"
        )
