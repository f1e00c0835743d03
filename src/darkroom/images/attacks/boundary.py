"""Reconstruction from labels alone by moving away from a class's boundary."""

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
from darkroom.images.attacks.search.labels import LabelAttack, LabelFeedback, Pool, room
from darkroom.images.attacks.search.scores import marks
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted
from darkroom.vision.priors.base import ImagePrior

FADE = 10
"""Iterations after which steps begin to shorten with the square root of their number."""


@dataclass(frozen=True)
class BoundaryAttack(LabelAttack):
    """Label-only model inversion by boundary repulsion, BREP-MI (Kahla et al. 2022).

    A point well inside its class shows more of the person than one near the boundary. From a
    latent that the target names as the goal, each iteration asks for the labels of ``sphere``
    latents at distance R around it. With u the unit vectors toward those named otherwise, the
    point moves by a step along ``-mean(u)``, away from them, if the target still names the goal
    there. When enough of the sphere lies inside the class, R grows. An iteration costs
    ``sphere + 1`` rows, 33 as in the paper, and one more when progress is told; all goals' spheres
    are one batch.

    Differences from the paper and its code:

    - the first point is not the first draw that is named as the goal but the mean of all such
      draws, where the target agrees, else the draw nearest to it. One pool of draws serves all
      goals, and all pay the same for it; goals that it lacks pay for wider draws;
    - spheres are stretched along coordinates that hardly show in the image, by a power of how
      little they do. Without, a few strong components take all of the way, and the target is
      convinced of faces that resemble nobody (``evenness = 0`` gives round spheres);
    - steps are longer at first and shorten with the square root of the iterations (theirs stay
      R/3), and the answer is the mean of the point's way, weighted toward its end, where the
      target names that as the goal: both lessen the noise of 32 labels;
    - R grows when ``inside`` of the sphere is named as the goal: 0.75 as in their code, all of it
      in the paper; it stops at ``largest``, beyond which images are no longer faces;
    - the prior's energy pulls the point inward, and the prior's bounds take the place of clipping
      each coordinate at 1.5;
    - lengths are shares of the prior's typical length, so that they fit any prior; theirs is the
      default, R = 2 with 100 coordinates;
    - a goal ends after ``patience`` iterations without growth (1,000 in the paper) or ``rows``.

    Under labels alone no confidence is known, so progress tells none, and a goal that is never
    drawn keeps the prior's most typical image.

    Attributes:
        rows: The most rows that a goal may cost, 1 or more; a plan's budget may be less.
        draws: Draws from the prior that each goal pays for.
        sphere: Points on a sphere.
        radius: The first R, as a share of the typical length of the prior's latents.
        largest: The last R, likewise.
        growth: By how much R is multiplied.
        inside: The share of the sphere at which R grows.
        step: The first step, in units of R.
        evenness: The power by which coordinates that hardly show are stretched; 0 for none.
        prior_weight: Weight of the prior's energy.
        patience: Iterations without growth after which a goal ends.
        repeats: How often an image is asked where fresh noise changes labels.
        confidence: Of the audit: the target's confidence at which a goal counts as reached. The
            attacker cannot see it, so nothing stops there.
        memory: Bytes that images may take; more than fit are asked in turns.
    """

    name: ClassVar[str] = "boundary"
    paper: ClassVar[str] = "after Kahla, Chen, Just & Jia 2022 (CVPR), BREP-MI"

    rows: int = 6000
    draws: int = 100
    sphere: int = 32
    radius: float = 0.2
    largest: float = 1.5
    growth: float = 1.3
    inside: float = 0.75
    step: float = 3.3
    evenness: float = 0.35
    prior_weight: float = 0.1
    patience: int = 100
    repeats: int = 5
    confidence: float = 0.999
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        for name in ("rows", "draws", "sphere", "patience", "repeats", "memory"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack boundary: {name} must be 1 or more")
        if not (0 < self.confidence <= 1 and 0 < self.inside <= 1):
            raise PlanError("attack boundary: confidence and inside must be above 0 and at most 1")
        if not (0 < self.radius <= self.largest and self.growth > 1 and self.step > 0):
            raise PlanError(
                "attack boundary: radius must be positive and at most largest, growth above 1, "
                "step positive"
            )
        if not (self.evenness >= 0 and self.prior_weight >= 0):
            raise PlanError("attack boundary: evenness and prior_weight must be 0 or more")

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        search = _Search(self, view, prior, goals, rng)
        yield search.progress()
        try:
            yield from search.start()
            yield from search.iterations()
        except BudgetExhausted:
            pass
        yield search.progress()


class _Search:
    """The state of one attack; every goal is a row.

    Attributes:
        active: Which goals go on, ``(goals,)``.
        centers, radii: Where their spheres are; each centre is named as its goal.
        means: Of the ways so far.
        best: What would be answered now.
    """

    def __init__(
        self,
        attack: BoundaryAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self.attack, self.view, self.goals = attack, view, goals
        self.feedback = LabelFeedback(view, prior, repeats=attack.repeats, memory=attack.memory)
        self.coordinates = self.feedback.coordinates
        self.generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.pool = Pool(self.feedback, prior, view.ledger, self.generator)
        scale = self.coordinates.visible**-attack.evenness
        self.scale = scale / scale.square().mean().sqrt()
        self.length = math.sqrt(self.coordinates.dimensions)
        self.active = np.zeros(len(goals), bool)
        self.centers = torch.zeros(len(goals), self.coordinates.dimensions)
        self.radii = torch.full((len(goals),), attack.radius * self.length)
        self.means = self.best = self.centers
        self.grown_at = np.zeros(len(goals), np.int64)
        self.taken = 0

    @property
    def rows(self) -> NDArray[np.int64]:
        """The positions of the goals that go on, ``(active,)``."""
        return np.flatnonzero(self.active)

    def start(self) -> Iterator[Progress]:
        """Draws the pool and begins from it.

        Raises:
            BudgetExhausted: If the ledger ends it; what was found until then is kept.
        """
        for _ in self.pool.fill(self.goals, self.attack.draws, self.attack.rows):
            self.best = self.coordinates.bounded(self.pool.middles(self.goals))
            yield self.progress()
        middles = self.coordinates.bounded(self.pool.middles(self.goals))
        self.best = self.coordinates.bounded(self.pool.nearest(self.goals, middles))
        self.active = self.pool.found(self.goals)
        # A wide draw can lose its name within the prior's bounds; then it starts where it lies.
        for points in (self.best, middles):
            rows = np.flatnonzero(self.active & (self._room() >= self.feedback.repeats))
            if len(rows):
                agreed = self._named(points, rows)
                self.best = self.best.clone()
                self.best[agreed] = points[agreed]
        self.centers = self.means = self.best

    def _room(self) -> NDArray[np.int64]:
        return room(self.view.ledger, np.arange(len(self.goals)), self.attack.rows)

    def _named(self, points: Tensor, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns those of some goals that the target names at their points."""
        names = self.feedback.ask(points[rows], rows)
        agreed: NDArray[np.int64] = rows[names == self.goals[rows]]
        return agreed

    def iterations(self) -> Iterator[Progress]:
        """Moves spheres until every goal has ended, with progress at milestones.

        Raises:
            BudgetExhausted: If the ledger ends it before the attack's own count does.
        """
        # An iteration, and after it the question whether the mean of the way is named too.
        cost = (self.attack.sphere + 2) * self.feedback.repeats
        ahead = marks()
        mark = next(ahead)
        while self.active.any():
            left = room(self.view.ledger, self.rows, self.attack.rows)
            if (left < cost).any():
                self._answer(self.rows[left < cost])
                self.active[self.rows[left < cost]] = False
                continue
            spent = int(np.median(self.view.ledger.spent[self.rows]))
            if spent + cost > mark:
                self._answer(self.rows)
                yield self.progress()
                while spent + self.feedback.repeats + cost > mark:
                    mark = next(ahead)
                continue
            self._iterate()

    def _iterate(self) -> None:
        """Asks a sphere around each active point and moves away from what is not the goal."""
        attack, rows = self.attack, self.rows
        classes = self.goals[rows]
        shape = (len(rows), attack.sphere, self.centers.shape[1])
        ways = torch.randn(shape, generator=self.generator)
        ways /= torch.linalg.vector_norm(ways, dim=2, keepdim=True)
        centers, radii = self.centers[rows], self.radii[rows]
        around = centers[:, None] + radii[:, None, None] * ways * self.scale
        names = self.feedback.ask(around.flatten(0, 1), rows.repeat(attack.sphere))
        outside = torch.from_numpy(names.reshape(len(rows), -1) != classes[:, None]).float()
        away = -self.scale * (outside[:, :, None] * ways).mean(dim=1)
        pull = attack.prior_weight * centers / centers.shape[1]
        step = attack.step / math.sqrt(1 + self.taken / FADE) * radii
        moved = self.coordinates.bounded(centers + step[:, None] * (away - pull))
        stays = torch.from_numpy(self.feedback.ask(moved, rows) == classes)
        self.centers = self.centers.clone()
        self.centers[rows] = torch.where(stays[:, None], moved, centers)
        self._average(rows)
        self._grow(rows, 1 - outside.mean(dim=1))

    def _average(self, rows: NDArray[np.int64]) -> None:
        """Moves the means of the ways on; weights rise with the square of the iteration."""
        share = 3 / (self.taken + 3)
        self.means = self.means.clone()
        self.means[rows] += share * (self.centers[rows] - self.means[rows])
        self.taken += 1

    def _grow(self, rows: NDArray[np.int64], inside: Tensor) -> None:
        """Lets spheres grow that lie inside, and ends goals whose spheres no longer do."""
        most = self.attack.largest * self.length
        grows = (inside >= self.attack.inside) & (self.radii[rows] < most)
        larger = (self.radii[rows] * self.attack.growth).clamp_max(most)
        self.radii[rows] = torch.where(grows, larger, self.radii[rows])
        self.grown_at[rows[grows.numpy()]] = self.taken
        done = rows[self.taken - self.grown_at[rows] >= self.attack.patience]
        if len(done):
            self._answer(done)
            self.active[done] = False

    def _answer(self, rows: NDArray[np.int64]) -> None:
        """Takes the mean of the way as the best where the target names it, else the centre."""
        if not self.taken:
            return
        self.best = self.best.clone()
        self.best[rows] = self.centers[rows]
        paid = rows[room(self.view.ledger, rows, self.attack.rows) >= self.feedback.repeats]
        if len(paid):
            agreed = self._named(self.coordinates.bounded(self.means), paid)
            self.best[agreed] = self.means[agreed]

    def progress(self) -> Progress:
        """Returns the best of each goal; its confidence is not known."""
        unknown = np.full(len(self.goals), np.nan)
        return Progress(self.view.ledger.spent, self.feedback.images(self.best), unknown)
