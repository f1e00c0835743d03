"""What every judge is: a way to tell people apart, learned from photos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Labels = NDArray[np.int64]
Report = Callable[[int, int], None]

Recogniser = Callable[[Tensor], Labels]
"""Names the person on each image, float32 ``(n, channels, height, width)`` in [0, 1]: int64
``(n,)``, negative for somebody else. A batch and its rows one by one get the same answers."""


class Movable(ABC):
    """A recogniser that takes images where it is, on whatever device."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """Returns the same recogniser on a device; what it holds is copied there.

        Args:
            device: Where images will be.
        """

    @abstractmethod
    def __call__(self, images: Tensor) -> Labels:
        """Names people; see :data:`Recogniser`."""


class Judge(ABC):
    """A way to tell people apart. Subclasses are frozen dataclasses whose fields are parameters.

    Attributes:
        name: What plans and reports call it.
        anywhere: Whether it learns from images on whatever device, and makes a :class:`Movable`;
            otherwise images come on the processor.
    """

    name: ClassVar[str]
    anywhere: ClassVar[bool] = False

    @abstractmethod
    def fit(
        self, images: Tensor, people: Labels, *, seed: int, on_progress: Report | None = None
    ) -> Recogniser:
        """Learns to recognise people; the same seed gives the same recogniser.

        Global random states are left as they were.

        Args:
            images: Photos that the target never saw where there are enough, float32
                ``(n, channels, height, width)`` in [0, 1], no side longer than 48 pixels.
            people: Who is on each, int64 ``(n,)``: from 0 for those under attack, from -1 downward
                for strangers.
            seed: For whatever is random.
            on_progress: Called with the steps done and those in all.
        """
