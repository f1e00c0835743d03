"""Uniform confidence: nothing to say about what is not clearly a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.errors import PlanError
from darkroom.images.training.not_people import averaged, blurred, noise
from darkroom.vision.training.base import ImageTraining, run_epochs
from darkroom.vision.training.course import ImageCourse


@dataclass(frozen=True)
class UniformConfidence(ImageTraining):
    """Teaches a model to answer everybody alike to whatever is not a sharp photo of one person.

    An inversion starts at a mean face or noise and climbs along the confidence; here there is
    nothing to climb from. Beside the private photos each step shows as many other images, whose
    answer is pushed to the uniform one: blurred photos, averages of many people and of many photos
    of one, blends of two people, noise, photos of strangers if there are any, and inversions in
    progress, which climb the model's own confidence a little at each step.

    The loss on them is that of outlier exposure (Hendrycks et al. 2019) and, on inversions, of
    adversarial confidence (Hein et al. 2019); to train on all that an inversion passes through is
    this project's own, so there is no paper to differ from.

    Attributes:
        weight: Of the loss on other images, above 0.
        share: Other images for each photo, above 0.
        climbs: Steps that each inversion in progress climbs before it is shown, 0 or more.
        step: How far a climbing step moves each value, as a share of the range.
        least_blur: The weakest blur that is no person any more: the Gaussian's deviation as a share
            of the shorter side.
    """

    name: ClassVar[str] = "uniform-confidence"
    paper: ClassVar[str] = "after Hendrycks et al. 2019 and Hein et al. 2019"

    weight: float = 3.0
    share: float = 1.0
    climbs: int = 2
    step: float = 0.02
    least_blur: float = 0.035

    def __post_init__(self) -> None:
        """Refuses what pushes nothing.

        Raises:
            PlanError: If a value is out of its range.
        """
        if min(self.weight, self.share, self.step, self.least_blur) <= 0 or self.climbs < 0:
            raise PlanError(
                f"training defence {self.name}: weight, share, step and least_blur must be above "
                "0, and climbs 0 or more"
            )

    def _fit(self, course: ImageCourse) -> Privacy | None:
        others = Others(course, self)

        def loss(seen: Tensor, people: Tensor, _: float) -> Tensor:
            nobody = others.draw(max(1, round(self.share * len(seen)))).to(seen.device)
            # Together, so that batch normalisation learns from both what is usual.
            logits = course.model(torch.cat([seen, nobody]))
            named = functional.cross_entropy(logits[: len(seen)], people)
            log_scores = functional.log_softmax(logits[len(seen) :], dim=1)
            return named - self.weight * log_scores.mean()

        run_epochs(course, loss)
        return None


class Others:
    """A source of images that are no person, and of inversions that it carries on."""

    def __init__(self, course: ImageCourse, defense: UniformConfidence) -> None:
        """Starts a pool of inversions.

        Args:
            course: The training that they are for.
            defense: Its parameters.
        """
        self._course, self._defense = course, defense
        low, high = course.recipe.value_range
        self._low, self._width = low, high - low
        own = (course.images - low) / self._width
        self._own = own
        self._public = (
            None
            if course.strangers is None
            else (torch.from_numpy(course.strangers.images) - low) / self._width
        )
        self._by_person = [
            (course.labels == person).nonzero().flatten() for person in range(course.classes)
        ]
        self._pool = self._start(4 * course.recipe.batch)
        self._goals = self._draw(course.classes, 4 * course.recipe.batch)

    def draw(self, n: int) -> Tensor:
        """Returns images in the target's range, ``(n, channels, height, width)``."""
        # Weak blurs and averages of few look most like people, so there are more of them.
        kinds = 2 * [self._blurred, self._averaged]
        kinds += [self._of_one, self._blended, self._noise]
        if self._public is not None:
            kinds.append(self._strangers)
        climbing = n // 4 if self._defense.climbs else 0
        sizes = torch.full((len(kinds),), (n - climbing) // len(kinds))
        spare = n - climbing - int(sizes.sum())
        sizes[torch.randperm(len(kinds), generator=self._course.generator)[:spare]] += 1
        drawn = [kind(size) for kind, size in zip(kinds, sizes.tolist(), strict=True) if size]
        images = torch.cat(drawn).clamp(0, 1) * self._width + self._low
        return torch.cat([images, self._climbed(climbing)]) if climbing else images

    def _draw(self, below: int, n: int) -> Tensor:
        return torch.randint(below, (n,), generator=self._course.generator)

    def _uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=self._course.generator)

    def _photos(self, n: int) -> Tensor:
        return self._own[self._draw(len(self._own), n)]

    def _blurred(self, n: int) -> Tensor:
        side = min(self._own.shape[2:])
        shares = self._defense.least_blur * (8 ** self._uniform(n) ** 2)
        return blurred(self._photos(n), shares * side)

    def _averaged(self, n: int) -> Tensor:
        """Averages as many photos as a draw says, from two to thirty-two."""
        most = min(32, len(self._own))
        sizes = (2 ** (1 + 4 * self._uniform(n) ** 2)).round().long().clamp(max=most)
        groups = [self._draw(len(self._own), size)[None] for size in sizes.tolist()]
        return torch.cat([averaged(self._own, group) for group in groups])

    def _of_one(self, n: int) -> Tensor:
        """Averages many photos of one person, which is the face that an inversion is after."""
        people = self._draw(len(self._by_person), n).tolist()
        images = []
        for person in people:
            rows = self._by_person[person]
            if len(rows) < 4:  # the average of so few is still a photo
                images.append(self._blurred(1))
                continue
            drawn = torch.randperm(len(rows), generator=self._course.generator)
            members = int(self._draw(len(rows) - 3, 1)) + 4
            images.append(averaged(self._own, rows[drawn[:members]][None]))
        return torch.cat(images)

    def _blended(self, n: int) -> Tensor:
        part = self._uniform(n, 0.35, 0.65).view(-1, 1, 1, 1)
        first, second = self._draw(len(self._own), n), self._draw(len(self._own), n)
        # Two photos of one person make that person.
        apart = self._course.labels[first] != self._course.labels[second]
        mixed = part * self._own[first] + (1 - part) * self._own[second]
        return torch.where(apart.view(-1, 1, 1, 1), mixed, self._noise(n))

    def _noise(self, n: int) -> Tensor:
        return noise(n, tuple(self._own.shape[1:]), self._course.generator)

    def _strangers(self, n: int) -> Tensor:
        assert self._public is not None, "draw asks only where there are some"
        return self._public[self._draw(len(self._public), n)]

    def _start(self, n: int) -> Tensor:
        """Returns where inversions begin: strangers if there are any, averages, blurs and noise."""
        kinds = [self._averaged, self._blurred, self._noise]
        if self._public is not None:
            kinds.append(self._strangers)
        sizes = [n // len(kinds) + (place < n % len(kinds)) for place in range(len(kinds))]
        return torch.cat([kind(size) for kind, size in zip(kinds, sizes, strict=True) if size])

    def _climbed(self, n: int) -> Tensor:
        """Carries some inversions on, and returns them in the target's range."""
        course, module = self._course, self._course.model
        rows = torch.randperm(len(self._pool), generator=course.generator)[:n]
        # An inversion of its own life each: about one in ten begins anew.
        fresh = self._uniform(n) < 0.1
        if fresh.any():
            count = int(fresh.sum())
            self._pool[rows[fresh]] = self._start(count)
            self._goals[rows[fresh]] = self._draw(course.classes, count)
        images, goals = self._pool[rows].to(course.device), self._goals[rows].to(course.device)
        module.eval()
        for _ in range(self._defense.climbs):
            images.requires_grad_(True)
            logits = module(images * self._width + self._low)
            loss = functional.cross_entropy(logits, goals, reduction="sum")
            slope = torch.autograd.grad(loss, images)[0]
            images = (images.detach() - self._defense.step * slope.sign()).clamp(0, 1)
        module.train()
        self._pool[rows] = images.cpu()
        return (images * self._width + self._low).cpu()
