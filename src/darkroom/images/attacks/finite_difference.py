"""Reconstruction from scores along gradients that are measured instead of computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.mi_face import Algorithm1, MIFaceAttack
from darkroom.images.attacks.search.feedback import Feedback
from darkroom.images.attacks.search.scores import ScoreAttack, ScoreSearch
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior

Method = Literal["simultaneous", "coordinates"]

COARSE = 10.0
"""How many times wider differences along coordinates are where scores are rounded or noisy."""


@dataclass(frozen=True)
class FiniteDifferenceAttack(ScoreAttack):
    """Black-box model inversion by numeric gradients.

    ``coordinates`` is the black-box attack of Fredrikson, Jha & Ristenpart 2015 (CCS, section 5):
    their Algorithm 1 (:class:`.MIFaceAttack`: cost 1 - f, fixed steps,
    patience), with each partial derivative of the cost replaced by a forward difference, which
    costs a row a coordinate and one more a step. Differences from the paper:

    - it does not say which differences it takes, nor how wide: ``width`` says;
    - the coordinates are those of the prior, which are pixels with ``mean``;
    - all goals share one batch of queries;
    - the differences listed at :class:`.MIFaceAttack`.

    ``simultaneous``, the default, changes all coordinates at once along Gaussian directions and
    their opposites and averages the differences, which estimates the gradient of a smoothed
    objective at the price of two rows a direction whatever the number of coordinates (natural
    evolution strategies, Wierstra et al. 2014, as Ilyas et al. 2018 use them against classifiers;
    simultaneous perturbation, Spall 1992). The objective is the margin of log-scores with the
    prior's energy, and the steps are Adam's (Kingma & Ba 2015). Differences from Ilyas et al.:
    these two, and a prior's latents for pixels.

    Attributes:
        method: ``simultaneous`` or ``coordinates``.
        learning_rate: Length of a step in units of the prior's spread; the paper's lambda with
            ``coordinates``.
        width: Half the width of a difference (all of it with ``coordinates``), in the same units;
            0 takes 0.3 with ``simultaneous``, and 0.02 with ``coordinates``, or ten times that
            where scores are rounded or noisy and small differences would not show.
        directions: Pairs of rows a step with ``simultaneous``, 1 or more.
        patience: The paper's beta, with ``coordinates``.
    """

    name: ClassVar[str] = "finite-difference"
    paper: ClassVar[str] = (
        "Fredrikson, Jha & Ristenpart 2015 (CCS), and NES after Ilyas et al. 2018"
    )

    method: Method = "simultaneous"
    learning_rate: float = 0.1
    width: float = 0.0
    directions: int = 10
    patience: int = 100

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range, or the method is unknown.
        """
        super().__post_init__()
        if self.method not in ("simultaneous", "coordinates"):
            raise PlanError(
                f"attack finite-difference: method {self.method!r} is not simultaneous or "
                "coordinates"
            )
        if self.directions < 1 or self.patience < 1:
            raise PlanError("attack finite-difference: directions and patience must be 1 or more")
        if not (self.learning_rate > 0 and self.width >= 0):
            raise PlanError(
                "attack finite-difference: learning_rate must be positive, width 0 or more"
            )

    def apart(self, view: View) -> bool:  # noqa: ARG002 - it never depends on that
        """Tells it of the method: along coordinates a budget ends all goals at once."""
        return self.method == "simultaneous"

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        if self.method == "simultaneous":
            return _Simultaneous(self, view, prior, goals, rng).run()
        coordinates = math.prod(prior.latent_shape)
        if self.rows < coordinates + 2:
            raise PlanError(
                f"attack finite-difference: a step over {coordinates} coordinates costs "
                f"{coordinates + 1} rows, but rows is {self.rows}: choose a prior with fewer, "
                'method = "simultaneous", or more rows'
            )
        return _Coordinates(self, view, prior, goals, rng).run()


class _Coordinates(Algorithm1):
    """Algorithm 1 with forward differences along every coordinate."""

    def __init__(
        self,
        attack: FiniteDifferenceAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self.feedback = Feedback(view, goals, rng)
        coordinates = math.prod(prior.latent_shape)
        self.step_cost = (coordinates + 1) * self.feedback.cost()
        algorithm = MIFaceAttack(
            steps=max(1, attack.rows // self.step_cost - 1),
            patience=attack.patience,
            confidence=attack.confidence,
            # One step of one is a step of the prior's spread.
            learning_rate=attack.learning_rate * prior.spread,
            auxiliary=attack.prior_weight,
            memory=attack.memory,
        )
        super().__init__(algorithm, view, prior, goals)
        coarse = self.feedback.channel.resolution > 0
        self.width = prior.spread * (attack.width or (0.02 * COARSE if coarse else 0.02))
        self.steps_of_one = torch.eye(coordinates).view(-1, *prior.latent_shape) * self.width
        image = 16 * int(np.prod(prior.spec.shape)) * self.feedback.cost()
        self.at_once = max(1, attack.memory // image)
        self.budget.rows = max(1, self.at_once // (coordinates + 1))

    @torch.no_grad()
    def ask_part(self, part: slice) -> None:
        """Asks about some goals and all their neighbours; see :meth:`Algorithm1.ask_part`."""
        rows, latents = self.rows[part], self.latents[part]
        cost, confidence = self._costs(latents, rows)
        self.cost[part], self.confidence[part] = cost, confidence
        slopes = []
        share = max(1, self.at_once // len(rows))
        for steps in torch.split(self.steps_of_one, share):
            around = (latents[:, None] + steps).flatten(0, 1)
            moved, _ = self._costs(around, rows.repeat_interleave(len(steps)))
            slopes.append((moved.view(len(rows), -1) - cost[:, None]) / self.width)
        gradient = torch.cat(slopes, dim=1).view_as(latents).to(latents.dtype)
        if len(rows) == len(self.rows):
            self.gradient = gradient
        else:
            self.gradient[part] = gradient

    def _costs(self, latents: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns cost and confidence of latents; a goal that is not named costs one."""
        answers = self.feedback.ask(self.prior.decode(latents).numpy(), rows.numpy())
        confidence = torch.from_numpy(answers.confidence)
        cost = 1 - confidence.nan_to_num(nan=0.0)
        return cost + self.attack.auxiliary * self.prior.energy(latents), confidence


class _Simultaneous(ScoreSearch):
    """Differences along random directions, and Adam."""

    attack: FiniteDifferenceAttack

    def __init__(
        self,
        attack: FiniteDifferenceAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(attack, view, prior, goals, rng)
        self.width = attack.width or 0.3
        self.mean = torch.zeros_like(self.challenger)
        self.square = torch.zeros_like(self.challenger)
        self.steps = 0

    @property
    def batch(self) -> int:
        """Both sides of every direction."""
        return 2 * self.attack.directions

    def generation(self, size: int) -> None:
        """Measures along directions and steps; see :meth:`ScoreSearch.generation`."""
        rows, pairs = self.rows, size // 2
        shape = (pairs, self.coordinates.dimensions)
        drawn = [self.sources[row].standard_normal(shape, np.float32) for row in rows.tolist()]
        directions = torch.from_numpy(np.array(drawn))
        middle = self.challenger[rows][:, None]
        sides = [middle + sign * self.width * directions for sign in (1, -1)]
        asked = self.ask(torch.cat(sides, dim=1))
        ahead, behind = torch.split(asked.objective.float(), pairs, dim=1)
        differences = ((ahead - behind) / (2 * self.width))[:, :, None]
        self._step(rows, (differences * directions).mean(dim=1))

    def _step(self, rows: Tensor, gradient: Tensor) -> None:
        """Moves the active searches as Adam does."""
        self.steps += 1
        self.mean[rows] = 0.9 * self.mean[rows] + 0.1 * gradient
        self.square[rows] = 0.999 * self.square[rows] + 0.001 * gradient.square()
        mean = self.mean[rows] / (1 - 0.9**self.steps)
        size = (self.square[rows] / (1 - 0.999**self.steps)).sqrt().clamp_min(1e-12)
        moved = self.challenger[rows] - self.attack.learning_rate * mean / size
        self.challenger[rows] = self.coordinates.bounded(moved)
