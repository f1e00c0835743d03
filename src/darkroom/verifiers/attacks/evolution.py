"""Faces grown from match scores alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch

from darkroom.access import VerifierAccess
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.verifiers.attacks.base import Attack, Knowledge, Progress, decoded
from darkroom.verifiers.attacks.probes import first_probes
from darkroom.verifiers.attacks.slopes import ScoreRegression
from darkroom.verifiers.targets.base import Floats, Images, Labels
from darkroom.verifiers.targets.view import View
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.strategy import separable_strategy


@dataclass(frozen=True)
class EvolutionAttack(Attack):
    """CMA-ES over match scores, from the best of a few strangers, with a regression beside it.

    The attacker first submits a few photos of strangers, one a person, and takes the likest as the
    start. From there an evolution strategy in the prior's latents (Hansen 2016, separable form)

    Raises:
        score(z) / spread - prior_weight * energy(z)

    where the spread is that of the strangers' scores. All scores so far are regressed on their
    latents as well, and the point that the regression likes best is asked in every generation and
    injected into the strategy. Every row counts, the strangers among them.

    The attack follows Galbally et al. (2010), who climb from match scores alone; differences: an
    evolution strategy with a regression in the place of Bayesian hill climbing, a prior of public
    photos in that of eigenfaces of the enrolled kind, and a start at the likest of a few strangers.

    Attributes:
        rows: A person.
        strangers: Photos of strangers that are submitted first.
        population: Candidates a generation, 4 or more.
        deviation: Their first standard deviation, in units of the prior's spread.
        prior_weight: Of the prior's energy against the score.
    """

    name: ClassVar[str] = "evolution"
    paper: ClassVar[str] = "after Hansen 2016 (CMA-ES) and Galbally, McCool, Fierrez et al. 2010"
    access: ClassVar[VerifierAccess] = VerifierAccess.SCORE

    rows: int = 2000
    strangers: int = 20
    population: int = 20
    deviation: float = 0.4
    prior_weight: float = 0.2

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        if self.rows < 1 or self.strangers < 0 or self.population < 4:
            raise PlanError(
                "attack evolution: rows must be positive, strangers 0 or more, population 4 or more"
            )
        if not self.deviation > 0 or self.prior_weight < 0:
            raise PlanError(
                "attack evolution: deviation must be positive, and prior_weight 0 or more"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal."""
        return self.rows

    def within(self, budget: int) -> Self:
        """Spends no more on strangers than there are rows; see :meth:`Attack.within`."""
        return replace(self, rows=min(self.rows, budget))

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says what it does about noise and rounding."""
        if view.effect.deviation:
            return (
                "Against noise, it answers with the point that all scores together like best, and "
                "not with the one that was lucky.",
            )
        return ()

    def _search(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> Iterator[Progress]:
        return _Search(self, view, knowledge, rng).run()


class _Search:
    """The state of one attack on all goals.

    Attributes:
        best: The score of the best picture of each goal, ``(goals,)``.
        pictures: These pictures.
    """

    def __init__(
        self,
        attack: EvolutionAttack,
        view: View,
        knowledge: Knowledge,
        rng: np.random.Generator,
    ) -> None:
        self.attack, self.view, self.knowledge = attack, view, knowledge
        self.prior: ImagePrior = knowledge.prior
        goals = len(view.people)
        self.sources = rng.spawn(goals + 1)
        start = self.prior.start()
        self.dimensions = start.numel()
        self.starts = np.tile(start.flatten().double().numpy(), (goals, 1))
        self.best = np.full(goals, -np.inf)
        self.pictures = np.repeat(decoded(self.prior, self.starts[:1]), goals, axis=0)
        self.spread, self.lowest = 1.0, 0.0
        self.noisy = bool(view.effect.deviation)

    def run(self) -> Iterator[Progress]:
        """Yields progress after the strangers and after each generation, until rows run out."""
        yield self._progress()
        try:
            self._strangers()
            yield self._progress()
            strategies = [self._strategy(row) for row in range(len(self.starts))]
            regression = ScoreRegression(len(self.starts), self.dimensions)
            points = self.starts.copy()
            while self._left() >= self.attack.population:
                points = self._generation(strategies, regression, points)
                yield self._progress()
        except BudgetExhausted:
            yield self._progress()

    def _left(self) -> int:
        return self.attack.rows - int(self.view.ledger.alone.max())

    def _strangers(self) -> None:
        """Submits photos of strangers and starts at the likest."""
        count = min(self.attack.strangers, self.attack.rows)
        photos = first_probes(self.knowledge, count, self.sources[-1])
        if not len(photos):
            return
        goals = np.repeat(np.arange(len(self.best)), len(photos))
        found = self._asked(np.tile(photos, (len(self.best), 1, 1, 1)), goals)
        scores = found.reshape(len(self.best), len(photos))
        likest = scores.argmax(axis=1)
        self.spread = float(max(scores.std(axis=1).mean(), 1e-6))
        self.best = scores.max(axis=1)
        self.pictures = photos[likest].copy()
        latents = self.prior.encode(torch.from_numpy(photos)).flatten(1)
        latents = self.prior.project(latents.view(len(photos), *self.prior.latent_shape))
        # A stranger's own features are somebody else's: half of the way is enough to begin with.
        self.starts = 0.5 * latents.flatten(1)[likest].double().numpy()

    def _asked(self, images: Images, goals: Labels) -> Floats:
        """Returns scores; where no face is found, one below all that were seen."""
        found = self.view.scores(images, goals)
        faces = np.isfinite(found)
        self.lowest = min(self.lowest, float(found.min(initial=self.lowest, where=faces)))
        return np.where(faces, found, self.lowest - self.spread)

    def _strategy(self, row: int) -> Any:
        deviations = np.full(self.dimensions, self.attack.deviation * self.prior.spread)
        return separable_strategy(
            self.starts[row], self.attack.population - 1, deviations, self.sources[row]
        )

    def _generation(
        self, strategies: list[Any], regression: ScoreRegression, points: Floats
    ) -> Floats:
        """Asks a population and the regression's point for every goal, and learns from both."""
        drawn = np.array([strategy.ask() for strategy in strategies], np.float64)
        asked = np.concatenate([drawn, points[:, None]], axis=1)
        goals, each = asked.shape[:2]
        images = decoded(self.prior, asked.reshape(goals * each, -1))
        rows = np.repeat(np.arange(goals), each)
        scores = self._asked(images, rows).reshape(goals, each)
        self._keep(images.reshape(goals, each, *images.shape[1:]), scores)
        energies = self._energies(asked.reshape(goals * each, -1)).reshape(goals, each)
        losses = -scores / self.spread + self.attack.prior_weight * energies
        for row, strategy in enumerate(strategies):
            strategy.tell(list(drawn[row]), losses[row, :-1].tolist())
            # The regression's point, where it is better than the population's middle.
            if losses[row, -1] < np.median(losses[row, :-1]):
                strategy.inject([asked[row, -1]])
        regression.add(asked, scores / self.spread)
        return regression.follow(points, asked, losses, self.attack.prior_weight, self.prior)

    def _keep(self, images: Images, scores: Floats) -> None:
        """Remembers the best picture of each goal; under noise, that of the regression."""
        goals = np.arange(len(self.best))
        chosen = np.full(len(goals), -1) if self.noisy else scores.argmax(axis=1)
        found = scores[goals, chosen]
        better = (found > self.best) | self.noisy
        self.best = np.where(better, found, self.best)
        self.pictures[better] = images[goals, chosen][better]

    def _energies(self, latents: Floats) -> Floats:
        shaped = torch.from_numpy(latents.astype(np.float32)).view(-1, *self.prior.latent_shape)
        return self.prior.energy(shaped).double().numpy()

    def _progress(self) -> Progress:
        spent: Labels = self.view.ledger.spent
        return Progress(spent, self.pictures.copy(), self.best.copy())
