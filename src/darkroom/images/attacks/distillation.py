"""Reconstruction from scores through a copy of the target that serves all goals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.evolution import EvolutionAttack, EvolutionSearch
from darkroom.images.attacks.search.copies import Copy
from darkroom.images.attacks.search.feedback import EXACT
from darkroom.images.attacks.search.labels import draws
from darkroom.images.attacks.search.scores import marks
from darkroom.images.attacks.search.surrogate_models import Features
from darkroom.images.attacks.surrogate import PART, SEEN, inverted
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.randomness import OwnRandomness

NOTHING = math.log(EXACT) + 1
"""Log-scores below this were answered as zero: then small scores are hidden, whoever hides them."""

FEWEST = 20
"""Rows of which a copy learns anything."""


@dataclass(frozen=True)
class DistillationAttack(EvolutionAttack):
    """Black-box model inversion through a copy of the target, after SMILE (Li et al. 2025).

    A row's scores say something of every class. So the target is asked about one pool of draws
    from the prior; a copy learns all its log-scores (:class:`.Copy`, after Hinton et al. 2015);
    :class:`.GradientAttack` inverts the copy for every goal, which costs nothing; and
    :class:`.EvolutionAttack` goes on from there for each goal, with the target's scores. A softmax
    regression is known exactly from about as many rows as the prior has coordinates.

    The pool serves all goals, and they pay for it in equal parts. One goal alone would have cost
    the whole pool, so that is what the ledger counts for each, and what a budget a goal limits.
    What is asked afterwards serves one goal alone: a copy is never taught what another goal paid
    for. The pool takes at most half of a budget.

    Whenever the copy was inverted anew, one row a goal asks the target about what came out.

    Differences from the paper:

    - no code or table of theirs was at hand; the scheme is that of the abstract: some 2,500 rows
      for all people together, and then up to 1,000 for each, from the copy's optimum;
    - any prior takes the place of a StyleGAN;
    - the copy is a linear and two small networks on principal components of small images, which
      train in seconds on a processor; theirs is made of several large networks;
    - the search without gradients is this project's ``evolution``.

    Attributes:
        shared: The most rows of the pool, for all goals together.
        units: Units of a hidden layer of the copy.
        epochs: How often the copy sees each row, where there are many.
        least_steps: The fewest steps of its training.
        steps: The steps of an inversion.
    """

    name: ClassVar[str] = "distillation"
    paper: ClassVar[str] = "after Li et al. 2025 (CVPR), SMILE, and Hansen 2016 (CMA-ES)"

    shared: int = 500
    units: int = 256
    epochs: int = 10
    least_steps: int = 600
    steps: int = 100

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        super().__post_init__()
        for name in ("shared", "units", "epochs", "least_steps", "steps"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack distillation: {name} must be 1 or more")

    def apart(self, view: View) -> bool:  # noqa: ARG002 - it never depends on that
        """Returns false: all people have the copy's rows in common; see :meth:`Attack.apart`."""
        return False

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        return _Search(self, view, prior, goals, rng).run()


class _Search(EvolutionSearch):
    """A pool and a copy that tell where the searches begin."""

    attack: DistillationAttack

    def __init__(
        self,
        attack: DistillationAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(attack, view, prior, goals, rng)
        self.goals, self.rng = goals, rng
        self.seed = int(rng.integers(2**62))
        self.generator = torch.Generator().manual_seed(self.seed)
        self.starts = self.challenger.clone()
        self.logs = torch.empty(0, view.classes)
        self.inputs = torch.empty(0)
        self.features: Features | None = None

    def run(self) -> Iterator[Progress]:
        """Copies the target in rounds, and searches from what the copy shows."""
        yield self.progress()
        most = self._most_shared()
        for mark in marks():
            each = mark - self.spent - self._comparison_cost(final=False)
            upto = min(len(self.logs) + max(0, each) * len(self.goals), most)
            if upto > len(self.logs) and upto >= FEWEST:
                self._draw(upto - len(self.logs))
                self._invert()
                self.compare(final=False)
                yield self.progress()
            if upto == most:
                break
        yield from self.search()

    def _most_shared(self) -> int:
        """Returns how many rows the pool may take: half of what there is, or none of very few."""
        limit, ledger = self.view.ledger.limit, self.view.ledger
        half = [self.attack.shared, self.attack.rows * len(self.goals) // 2]
        if limit.per_goal is not None:
            half.append((limit.per_goal - int(ledger.alone.max())) // 2)
        if limit.total is not None:
            half.append((limit.total - ledger.total) // 2)
        return min(half) if min(half) >= FEWEST else 0

    @torch.no_grad()
    def _draw(self, rows: int) -> None:
        """Adds draws of the prior to the pool, for which all goals pay in turn."""
        points = draws(self.prior, self.coordinates, rows, self.generator)
        latents = self.coordinates.latents(points)
        everyone = np.arange(len(self.goals))
        turns = torch.arange(len(self.logs), len(self.logs) + rows) % len(everyone)
        with self.view.ledger.shared(everyone):
            answers = self._answers(latents, turns * self.attack.restarts, repeats=1)
        self.logs = torch.cat([self.logs, torch.from_numpy(answers.logs).float()])
        if self.features is None:
            seen = draws(self.prior, self.coordinates, SEEN, self.generator)
            self.features = Features(self._images(self.coordinates.latents(seen)))
            self.inputs = torch.empty(0, self.features.size)
        images = (self._images(part) for part in torch.split(latents, PART))
        self.inputs = torch.cat([self.inputs, *(self.features(part) for part in images)])

    @torch.no_grad()
    def _images(self, latents: Tensor) -> Tensor:
        return torch.cat([self.prior.decode(part) for part in torch.split(latents, PART)])

    def _invert(self) -> None:
        """Teaches a copy all that was answered to the pool, and begins where it is inverted."""
        assert self.features is not None
        channel = self.feedback.channel
        with OwnRandomness(self.seed)():
            copy = Copy(self.features, self.view.classes, self.attack.units)
        copy.learn(
            self.inputs,
            self.logs,
            exact=not (channel.hides or channel.noisy or bool((self.logs < NOTHING).any())),
            epochs=self.attack.epochs,
            least_steps=self.attack.least_steps,
            generator=self.generator,
        )
        latents = inverted(
            copy,
            self.prior,
            self.goals,
            steps=self.attack.steps,
            prior_weight=self.attack.prior_weight,
            memory=self.attack.memory,
            rng=self.rng,
        )
        found = self.coordinates.points(latents).repeat_interleave(self.attack.restarts, dim=0)
        self.begin_at(self.coordinates.bounded(found + self.starts))
