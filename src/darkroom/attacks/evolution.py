"""Reconstruction from scores by an evolution strategy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.attacks.base import Progress
from darkroom.attacks.regression import LogScoreRegression
from darkroom.attacks.score_search import Asked, ScoreAttack, ScoreSearch
from darkroom.errors import MissingExtraError, PlanError
from darkroom.priors.base import ImagePrior
from darkroom.targets.view import View

INNER = 5
"""Steps along the regression in a generation."""

WIDER, WIDEST = 1.3, 3.0
"""By how much a population that tells nothing apart is widened, and how far at most."""


@dataclass(frozen=True)
class EvolutionAttack(ScoreAttack):
    """Black-box model inversion by CMA-ES with a regression beside it.

    For every goal and restart, a covariance matrix adaptation evolution strategy (Hansen 2016; the
    ``cma`` library, in its separable form after Ros & Hansen 2008) lowers

        log(best other score) - log(goal's score) + prior_weight * energy(z)

    over a prior's latents ``z``. The populations of all goals are one batch of queries a
    generation.

    CMA-ES uses the order of its population alone. What else the answers say is not thrown away:
    the log-scores of all rows so far are regressed on their latents
    (:class:`darkroom.attacks.regression.LogScoreRegression`), a point goes along with the slopes,
    and is injected into every generation (Hansen 2011, "Injecting external solutions into
    CMA-ES"), as lq-CMA-ES (Hansen 2019) injects the optimum of its quadratic surrogate. A point
    that does worse than half of its generation goes back to the population's mean.

    Components that hardly show in an image have small slopes, and following those makes images of
    a few strong components. Both the population's deviations and the steps along the slopes are
    therefore scaled by powers of how little a coordinate shows. Where scores are rounded, a
    population of which most rounds to one tells nothing apart: its deviation grows until some of it
    falls out of the class.

    The idea of evolving a generator's latents against scores alone is that of Mirror (An et al.
    2022, NDSS); differences from it:

    - CMA-ES with a regression replaces its genetic algorithm with crossover and mutation;
    - any prior takes the place of StyleGAN, whose activations Mirror clips to their usual range;
    - the loss is a margin of log-scores instead of cross-entropy.

    Attributes:
        population: Candidates a generation of each search, 4 or more.
        deviation: Their first standard deviation, in units of the prior's spread; twice that where
            small scores are hidden or noisy, so that some candidates show what they are.
        regression: Whether the regression is used.
        step: How far its point goes in 20 candidates, as root mean square over coordinates in
            units of the spread.
    """

    name: ClassVar[str] = "evolution"
    paper: ClassVar[str] = "after Hansen 2016 (CMA-ES) and An et al. 2022 (Mirror, NDSS)"

    population: int = 20
    deviation: float = 0.6
    regression: bool = True
    step: float = 0.06

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        super().__post_init__()
        if self.population < 4:
            raise PlanError("attack evolution: population must be 4 or more")
        if not (self.deviation > 0 and self.step > 0):
            raise PlanError("attack evolution: deviation and step must be positive")

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        return _Search(self, view, prior, goals, rng).run()


class _Search(ScoreSearch):
    """A strategy of the library and a regression for each search."""

    attack: EvolutionAttack

    def __init__(
        self,
        attack: EvolutionAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(attack, view, prior, goals, rng)
        visible = self.coordinates.visible
        scale = visible**-0.5
        self.scale = scale / scale.square().mean().sqrt()
        self.precondition = visible**-1.5
        self.regression = LogScoreRegression(self.classes, self.coordinates.dimensions)
        channel = self.feedback.channel
        deviation = attack.deviation * (2 if channel.hides or channel.noisy else 1)
        self.strategies = [
            _strategy(start, attack.population, deviation * self.scale.double().numpy(), source)
            for start, source in zip(self.challenger.double().numpy(), self.sources, strict=True)
        ]

    @property
    def batch(self) -> int:
        """The population."""
        return self.attack.population

    def generation(self, size: int) -> None:
        """Asks about a population; see :meth:`ScoreSearch.generation`."""
        rows = self.rows
        chosen = [self.strategies[row] for row in rows.tolist()]
        if self.attack.regression and self.regression.rows:
            for strategy, point in zip(chosen, self.challenger[rows].double().numpy(), strict=True):
                strategy.inject([point])
        drawn = [strategy.ask(size) for strategy in chosen]
        asked = self.ask(torch.from_numpy(np.array(drawn, dtype=np.float32)))
        if size == self.batch:
            with warnings.catch_warnings():
                # The library warns of injected points that are far out, and trims them.
                warnings.simplefilter("ignore", UserWarning)
                values = asked.objective.tolist()
                for strategy, points, objective in zip(chosen, drawn, values, strict=True):
                    strategy.tell(points, objective)
            self._widen(chosen, asked)
        means = torch.from_numpy(np.array([strategy.mean for strategy in chosen], np.float32))
        self.challenger[rows] = self.coordinates.bounded(
            self._follow(rows, asked, means) if self.attack.regression else means
        )

    def _widen(self, chosen: list[Any], asked: Asked) -> None:
        """Spreads populations of which most are on the plateau where scores round to one."""
        step = self.feedback.channel.step
        if not step:
            return
        same = (asked.confidence >= 1 - step / 2).double().mean(dim=1) > 0.5
        for strategy, wider in zip(chosen, same.tolist(), strict=True):
            if wider:
                strategy.sigma = min(WIDER * strategy.sigma, max(WIDEST, strategy.sigma))

    def _follow(self, rows: Tensor, asked: Asked, means: Tensor) -> Tensor:
        """Returns where each search's point goes along the regression's slopes."""
        points = self.challenger[rows]
        if self.regression.rows:
            behind = asked.margin[:, 0] > asked.margin.median(dim=1).values
            points = torch.where(behind[:, None], means, points)
        self.regression.add(rows, asked.points, asked.logs)
        slopes = self.regression.slopes(rows)
        length = self.attack.step * math.sqrt(points.shape[1]) * asked.points.shape[1] / 20 / INNER
        for _ in range(INNER):
            pull = self.attack.prior_weight * points / points.shape[1]
            way = (slopes.uphill(points) + pull) * self.precondition
            size = torch.linalg.vector_norm(way, dim=1, keepdim=True).clamp_min(1e-12)
            points = self.coordinates.bounded(points - length * way / size)
        return points


def _strategy(
    start: NDArray[np.float64],
    population: int,
    deviations: NDArray[np.float64],
    rng: np.random.Generator,
) -> Any:
    """Makes a strategy of the library that draws from ``rng`` alone and prints nothing."""
    try:
        import cma
    except ImportError as error:
        raise MissingExtraError("cma", "vision") from error
    options = {
        "popsize": population,
        "CMA_diagonal": True,
        "CMA_stds": deviations,
        "randn": lambda count, dimensions: rng.standard_normal((count, dimensions)),
        "seed": np.nan,
        "verbose": -9,
        "verb_log": 0,
    }
    return cma.CMAEvolutionStrategy(start, 1.0, options)
