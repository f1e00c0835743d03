"""Random erasing: photos that are never seen whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.errors import PlanError
from darkroom.vision.training.base import ImageTraining, run_epochs
from darkroom.vision.training.course import ImageCourse


@dataclass(frozen=True)
class RandomErasing(ImageTraining):
    """Trains on photos of each of which a rectangle is missing, another one at each step.

    Tran et al., Random Erasing vs. Model Inversion: A Promising Defense or a False Hope? (TMLR
    2025): a model that never sees a private photo whole holds less of it. A share of the area,
    drawn between two bounds, is painted over with one colour.

    Differences from the paper:
        - The colour is the mean of the private photos, not that of ImageNet.
        - It comes after the changes that every training makes to photos.

    Attributes:
        least: The smallest share of the area that is erased, above 0.
        most: The largest, below 1.
        stretch: How much longer than wide, or wider than long, the rectangle may be; 1 or more.
    """

    name: ClassVar[str] = "random-erasing"
    paper: ClassVar[str] = "Tran et al. 2025"

    least: float = 0.1
    most: float = 0.4
    stretch: float = 2.0

    def __post_init__(self) -> None:
        """Refuses rectangles that there are not.

        Raises:
            PlanError: If a value is out of its range.
        """
        if not 0 < self.least <= self.most < 1 or self.stretch < 1:
            raise PlanError(
                f"training defence {self.name}: least {self.least:g}, most {self.most:g}, stretch "
                f"{self.stretch:g}: give shares in order between 0 and 1, and 1 or more"
            )

    def _fit(self, course: ImageCourse) -> Privacy | None:
        colour = course.images.mean(dim=(0, 2, 3)).to(course.device)

        def loss(seen: Tensor, people: Tensor, _: float) -> Tensor:
            erased = self.erased(seen, colour, course.generator)
            return functional.cross_entropy(course.model(erased), people)

        run_epochs(course, loss)
        return None

    def erased(self, images: Tensor, colour: Tensor, generator: torch.Generator) -> Tensor:
        """Paints a rectangle of each image over.

        Args:
            images: ``(n, channels, height, width)``.
            colour: ``(channels,)``.
            generator: The source of the draws.

        Returns:
            The same shape.
        """
        n, _, height, width = images.shape
        area, ratio, top, left = torch.rand(4, n, generator=generator).to(images.device)
        area = self.least + (self.most - self.least) * area
        longer = torch.exp(math.log(self.stretch) * (2 * ratio - 1)).sqrt()
        tall = (area.sqrt() * longer).clamp(max=1) * height
        wide = (area.sqrt() / longer).clamp(max=1) * width
        rows = _between(height, top * (height - tall), tall)
        columns = _between(width, left * (width - wide), wide)
        inside = (rows[:, :, None] & columns[:, None, :])[:, None]
        return torch.where(inside, colour[None, :, None, None], images)


def _between(length: int, start: Tensor, size: Tensor) -> Tensor:
    """Tells which pixels of a side lie in each rectangle, bool ``(n, length)``."""
    centres = torch.arange(length, device=start.device) + 0.5
    return (centres >= start[:, None]) & (centres < (start + size)[:, None])
