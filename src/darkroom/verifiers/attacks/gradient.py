"""Faces grown along gradients of the encoder, toward a stored template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from darkroom.access import VerifierAccess
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.verifiers.attacks.base import Attack, Knowledge, Progress
from darkroom.verifiers.attacks.leaks import adapted, aims, asked_behind
from darkroom.verifiers.attacks.probes import first_probes
from darkroom.verifiers.targets.base import Floats
from darkroom.verifiers.targets.view import View
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.transforms import NUMBERS, RandomAffine, move

_MOVE = RandomAffine(shift=0.02, turn=0.03, zoom=0.02, flip=0.0)
_EVERY = 10  # steps between milestones
_AHEAD = 32  # steps for which moves are drawn at a time


@dataclass(frozen=True)
class GradientAttack(Attack):
    """Adam in a prior's latents, toward the stored template of each person.

    Lowers ``-score(z) / spread + prior_weight * energy(z)``, where each step looks at the picture
    moved and turned a little otherwise, so that what only one crop shows does not count. The
    picture of each person is the average of the restarts' latents. A row and its gradient are one
    query.

    After Mai et al. (2018, "On the reconstruction of face images from deep face templates") in
    what it asks: a face whose template is the leaked one. Differences: a search for each person in
    the place of a trained network of deconvolutions, and a prior of public photos.

    Attributes:
        steps: For each restart.
        restarts: For each person, from the average face and draws near it.
        learning_rate: Of Adam, in units of the prior's spread.
        prior_weight: Of the prior's energy, against a score in units of its spread over strangers.
        strangers: Whose templates are asked for first, to learn that spread.
    """

    name: ClassVar[str] = "gradient"
    paper: ClassVar[str] = "after Mai, Cao, Yuen & Jain 2018"
    access: ClassVar[VerifierAccess] = VerifierAccess.WEIGHTS

    steps: int = 200
    restarts: int = 2
    learning_rate: float = 0.05
    prior_weight: float = 0.5
    strangers: int = 20

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        if min(self.steps, self.restarts) < 1 or self.strangers < 0:
            raise PlanError(
                "attack gradient: steps and restarts must be positive, strangers 0 or more"
            )
        if not self.learning_rate > 0 or self.prior_weight < 0:
            raise PlanError(
                "attack gradient: learning_rate must be positive, and prior_weight 0 or more"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal."""
        return self.strangers + self.steps * self.restarts

    def within(self, budget: int) -> Self:
        """Asks fewer strangers, restarts less often and steps less; see :meth:`Attack.within`."""
        strangers = min(self.strangers, budget // 4)
        restarts = max(1, min(self.restarts, budget - strangers))
        steps = max(1, min(self.steps, (budget - strangers) // restarts))
        return replace(self, strangers=strangers, restarts=restarts, steps=steps)

    def _search(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> Iterator[Progress]:
        goals, device = len(view.people), view.device
        prior = knowledge.prior.to(device)
        spread, aim = self._aimed(view, knowledge, rng)
        source = torch.Generator().manual_seed(int(rng.integers(2**31)))
        start = knowledge.prior.start()[None].expand(goals * self.restarts, *prior.latent_shape)
        noise = torch.randn(start.shape, generator=source) * 0.3 * prior.spread
        latents = (start + noise * float(self.restarts > 1)).to(device).requires_grad_()
        rows = np.repeat(np.arange(goals), self.restarts)
        stored = torch.from_numpy(aim[rows]).float().to(device)
        moves = _moves(source, len(rows), device)
        optimiser = torch.optim.Adam([latents], lr=self.learning_rate * prior.spread)
        yield self._progress(view, prior, latents.detach())
        for step in range(self.steps):
            images = move(prior.decode(latents), next(moves))
            try:
                templates = view.differentiable_templates(images, rows)
            except BudgetExhausted:
                break
            scores = view.metric.differentiable(templates, stored)
            loss = -scores / spread + self.prior_weight * prior.energy(latents)
            optimiser.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                latents.copy_(prior.project(latents))
            if step % _EVERY == _EVERY - 1:
                yield self._progress(view, prior, latents.detach())
        yield self._progress(view, prior, latents.detach())

    def _aimed(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> tuple[float, Floats]:
        """Returns how far apart scores of a few strangers are, and the templates aimed at.

        The strangers serve all people at once.
        """
        photos = first_probes(knowledge, asked_behind(view, self.strangers), rng)
        goals = np.arange(len(view.people))
        try:
            with view.ledger.shared(goals):
                found = view.templates(photos, np.arange(len(photos)) % len(goals))
        except BudgetExhausted:
            found = np.empty((0, view.size))
        aim = aims(view, found[np.isfinite(found).all(axis=1)], rng)
        scores = view.metric.scores(found, aim)
        scores = scores[np.isfinite(scores)]
        return (max(float(scores.std()), 1e-3) if scores.size > 1 else 1.0), aim

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says what it does about templates that are protected."""
        return adapted(view)

    def _progress(self, view: View, prior: ImagePrior, latents: Tensor) -> Progress:
        goals = len(view.people)
        means = latents.view(goals, self.restarts, *latents.shape[1:]).mean(dim=1)
        with torch.no_grad():
            images = prior.decode(means).cpu().numpy()
        unknown: Floats = np.full(goals, np.nan)
        return Progress(view.ledger.spent, images, unknown)


def _moves(source: torch.Generator, rows: int, device: torch.device) -> Iterator[Tensor]:
    """Yields a move for every row, step after step."""
    while True:
        uniform = torch.rand(_AHEAD, NUMBERS, rows, generator=source).to(device)
        yield from map(_MOVE.drawn, uniform)
