"""Reconstruction from scores by an evolution strategy."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.search.regression import LogisticRegression, LogScoreRegression
from darkroom.images.attacks.search.scores import Asked, ScoreAttack, ScoreSearch
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.strategy import separable_strategy

INNER = 5
"""Steps along the regression in a generation."""

PATIENCE, FAR = 1000, 1.5
"""Rows after which a goal whose score is never told is sought all over the prior, and how far."""

DECAY = 0.03
"""How much of a point fades in a generation where small scores are hidden: what the first image
that showed the goal had by chance goes, and the slopes bring back what matters."""

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
    (:class:`.LogScoreRegression`), a point goes along with the slopes,
    and is injected into every generation (Hansen 2011, "Injecting external solutions into
    CMA-ES"), as lq-CMA-ES (Hansen 2019) injects the optimum of its quadratic surrogate. A point
    that does worse than half of its generation goes back to the population's mean.

    Components that hardly show in an image have small slopes, and following those makes images of
    a few strong components. Both the population's deviations and the steps along the slopes are
    therefore scaled by powers of how little a coordinate shows.

    Where small scores are hidden, by rounding or because only the largest are named, most goals are
    not told at all at first. Populations are then drawn wide, and anew, until one shows the goal;
    the search begins there, and seeks anew if it loses it. Rounded scores are learned by a logistic
    model (:class:`.LogisticRegression`), and a population of which most
    rounds to one, which tells nothing apart, is widened until some of it falls out of the class.

    Where margins are too faint to grow by ten against the prior, as those of logits divided by a
    high temperature, the prior's weight is lowered until they could (:func:`.lightening`). That is
    told from the first population, where nothing hides scores or makes them noisy.

    The idea of evolving a generator's latents against scores alone is that of Mirror (An et al.
    2022, NDSS); differences from it:

    - CMA-ES with a regression replaces its genetic algorithm with crossover and mutation;
    - any prior takes the place of StyleGAN, whose activations Mirror clips to their usual range;
    - the loss is a margin of log-scores instead of cross-entropy.

    Attributes:
        population: Candidates a generation of each search, 4 or more.
        deviation: Their first standard deviation, in units of the prior's spread; twice that where
            scores are noisy, so that some candidates show what they are, and where a goal is
            sought whose score is hidden.
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
            raise PlanError(f"attack {self.name}: population must be 4 or more")
        if not (self.deviation > 0 and self.step > 0):
            raise PlanError(f"attack {self.name}: deviation and step must be positive")

    def apart(self, view: View) -> bool:  # noqa: ARG002 - it never depends on that
        """Returns true; see :meth:`Attack.apart`."""
        return True

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        return EvolutionSearch(self, view, prior, goals, rng).run()


class EvolutionSearch(ScoreSearch):
    """A strategy of the library and a regression for each search; see :class:`EvolutionAttack`."""

    attack: EvolutionAttack

    def __init__(
        self,
        attack: EvolutionAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        """Asks nothing yet; arguments as :class:`.ScoreSearch`."""
        super().__init__(attack, view, prior, goals, rng)
        visible = self.coordinates.visible
        scale = visible**-0.5
        self.scale = scale / scale.square().mean().sqrt()
        self.precondition = visible**-1.5
        channel = self.feedback.channel
        dimensions = self.coordinates.dimensions
        self.regression = (
            LogisticRegression(self.classes, dimensions, channel.resolution / 2)
            if channel.effect.step
            else LogScoreRegression(self.classes, dimensions)
        )
        # Under noise every score is told, by chance.
        self.seeks = channel.hides and not channel.noisy
        self.seen = torch.full((len(self.classes),), not self.seeks)
        self.strategies = [
            self._seek(row) if self.seeks else self._begin(row, start)
            for row, start in enumerate(self.challenger)
        ]

    @property
    def batch(self) -> int:
        """The population."""
        return self.attack.population

    def generation(self, size: int) -> None:
        """Asks about a population; see :meth:`ScoreSearch.generation`."""
        rows, seen = self.rows, self.seen[self.rows].tolist()
        chosen = [self.strategies[row] for row in rows.tolist()]
        if self.attack.regression and self.regression.rows:
            points = self.challenger[rows].double().numpy()
            for strategy, point in itertools.compress(zip(chosen, points, strict=True), seen):
                strategy.inject([point])
        drawn = [strategy.ask(size) for strategy in chosen]
        asked = self.ask(torch.from_numpy(np.array(drawn, dtype=np.float32)))
        if size == self.batch:
            with warnings.catch_warnings():
                # The library warns of injected points that are far out, and trims them.
                warnings.simplefilter("ignore", UserWarning)
                answers = zip(chosen, drawn, asked.objective.tolist(), strict=True)
                for strategy, points, objective in itertools.compress(answers, seen):
                    strategy.tell(points, objective)
            self._widen(chosen, asked)
        if self.seeks:
            self._sight(rows, asked)
        means = [self.strategies[row].mean for row in rows.tolist()]
        centres = torch.from_numpy(np.array(means, np.float32))
        self.challenger[rows] = self.coordinates.bounded(
            self._follow(rows, asked, centres) if self.attack.regression else centres
        )

    def begin_at(self, points: Tensor) -> None:
        """Lets every search begin at a point of its own; one that does not show its goal seeks it.

        Args:
            points: ``(searches, dimensions)``, within the prior's bounds.
        """
        self.challenger = points.clone()
        self.strategies = [self._begin(row, point) for row, point in enumerate(points)]
        self.seen = torch.ones_like(self.seen)

    def _sight(self, rows: Tensor, asked: Asked) -> None:
        """Begins a search where its goal's score is first told, and seeks anew where it is lost."""
        told = asked.confidence.nan_to_num(nan=0.0).amax(dim=1) > 0
        known = self._confidence[rows].nan_to_num(nan=0.0) > 0
        for row in rows[known & ~self.seen[rows]].tolist():
            self.strategies[row] = self._begin(row, self.best[row])
            self.challenger[row] = self.best[row]
        for row in rows[~told & (self.seen[rows] | ~known)].tolist():
            self.strategies[row] = self._seek(row)
        self.seen[rows] = torch.where(self.seen[rows], told, known)

    def _begin(self, row: int, point: Tensor) -> Any:
        """Returns a strategy of a search that begins at a point."""
        deviation = self.attack.deviation * (2 if self.noisy else 1)
        return separable_strategy(
            point.double().numpy(),
            self.attack.population,
            deviation * self.scale.double().numpy(),
            self.sources[row],
        )

    def _seek(self, row: int) -> Any:
        """Returns a strategy that draws around the start; it is told nothing."""
        start = np.zeros(self.coordinates.dimensions)
        near = 2 * self.attack.deviation * self.scale.double().numpy()
        deviations = near if self.spent < PATIENCE else np.full_like(start, FAR)
        return separable_strategy(start, self.attack.population, deviations, self.sources[row])

    def _widen(self, chosen: list[Any], asked: Asked) -> None:
        """Spreads populations of which most are on the plateau where scores round to one."""
        step = self.feedback.channel.effect.step
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
        if self.seeks:
            points = (1 - DECAY) * points
        assert self.prior_weights is not None  # a population was asked about
        weights = self.prior_weights[rows, None]
        length = self.attack.step * math.sqrt(points.shape[1]) * asked.points.shape[1] / 20 / INNER
        for _ in range(INNER):
            pull = weights * points / points.shape[1]
            way = (slopes.uphill(points) + pull) * self.precondition
            size = torch.linalg.vector_norm(way, dim=1, keepdim=True).clamp_min(1e-12)
            points = self.coordinates.bounded(points - length * way / size)
        return points
