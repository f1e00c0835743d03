"""The steps of DP-SGD for any module and any loss, through Opacus (Abadi et al. 2016)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from darkroom.auditing.record import Privacy
from darkroom.errors import MissingExtraError, PlanError, one_line
from darkroom.training.record_gradients import Losses, RecordGradients

ACCOUNTANT = "prv"
"""By privacy random variables (Gopi et al. 2021), the tightest that Opacus has."""


@cache  # the accountant searches for seconds
def noise_for(epsilon: float, delta: float, rate: float, steps: int, owner: str) -> float:
    """Returns the noise multiplier that spends epsilon; 0 for infinite epsilon.

    Args:
        epsilon: What may be spent, above 0.
        delta: At which.
        rate: The chance of a unit to be in a step.
        steps: How many.
        owner: The defence, for messages.

    Raises:
        PlanError: If no noise is enough.
        MissingExtraError: If Opacus is not installed.
    """
    if math.isinf(epsilon):
        return 0.0
    try:
        from opacus.accountants.utils import get_noise_multiplier
    except ImportError as error:
        raise MissingExtraError("opacus", "dp") from error
    try:
        with warnings.catch_warnings(action="ignore"):
            return float(
                get_noise_multiplier(
                    target_epsilon=epsilon,
                    target_delta=delta,
                    sample_rate=rate,
                    steps=steps,
                    accountant=ACCOUNTANT,
                )
            )
    except (ValueError, RuntimeError) as error:
        raise PlanError(
            f"{owner}: no noise gives epsilon {epsilon:g} at delta {delta:g} in {steps} steps "
            f"({one_line(error)}): allow more"
        ) from error


@cache
def epsilon_of(noise: float, delta: float, rate: float, steps: int) -> float:
    """Returns the epsilon that the accountant charges; infinite without noise."""
    if noise == 0:
        return math.inf
    from opacus.accountants import create_accountant

    accountant = create_accountant(mechanism=ACCOUNTANT)
    accountant.history = [(noise, rate, steps)]
    with warnings.catch_warnings(action="ignore"):
        return float(accountant.get_epsilon(delta=delta))


@dataclass(frozen=True)
class Descent:
    """How steps are taken.

    Attributes:
        noise: Its standard deviation over the clip.
        clip: The largest norm of what a unit adds to a step.
        rate: The chance of a unit to be in a step.
        steps: How many.
        at_once: Records whose gradients are held in memory.
        owner: The defence, for messages.
    """

    noise: float
    clip: float
    rate: float
    steps: int
    at_once: int
    owner: str

    def run(
        self,
        module: nn.Module,
        losses: Losses,
        units: Tensor,
        plain: torch.optim.Optimizer,
        generator: torch.Generator,
        advance: Callable[[int], None],
    ) -> None:
        """Takes all steps, each on units drawn independently of each other.

        Args:
            module: Is changed.
            losses: What is minimised.
            units: The unit to which each record belongs, int64 ``(records,)``, from 0 without gaps.
            plain: Steps along noisy gradients; holds the weights that are trained.
            generator: The source of the draws; its seed decides the noise too.
            advance: Told how many steps are done.

        Raises:
            PlanError: If the module fails, or no guarantee would hold for it.
        """
        weights = [weight for group in plain.param_groups for weight in group["params"]]
        count, largest = int(units.max()) + 1, int(units.bincount().max())
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(plain, self.steps)
        gradients = RecordGradients(module, losses, weights, self.owner)
        optimizer = self._noisy(plain, count, generator.initial_seed())
        for step in range(self.steps):
            drawn = (torch.rand(count, generator=generator) < self.rate).nonzero().flatten()
            parts = torch.split(drawn, max(1, self.at_once // largest))
            for place, part in enumerate(parts):
                _fill(gradients, weights, part, units)
                optimizer.signal_skip_step(place + 1 < len(parts))
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            schedule.step()
            advance(step + 1)
        gradients.close()

    def privacy(self, unit: str, delta: float) -> Privacy:
        """Returns what all steps together guarantee.

        Args:
            unit: What is protected.
            delta: At which.
        """
        return Privacy(
            unit=unit,
            epsilon=epsilon_of(self.noise, delta, self.rate, self.steps),
            delta=delta,
            noise_multiplier=self.noise,
            sample_rate=self.rate,
            steps=self.steps,
        )

    def _noisy(self, plain: torch.optim.Optimizer, units: int, seed: int) -> Any:
        """Returns an optimizer that clips each unit's gradient and adds noise to their sum."""
        from opacus.optimizers import DPOptimizer

        device = plain.param_groups[0]["params"][0].device
        return DPOptimizer(
            plain,
            noise_multiplier=self.noise,
            max_grad_norm=self.clip,
            expected_batch_size=max(1, round(self.rate * units)),
            generator=torch.Generator(device).manual_seed(seed),
        )


def _fill(gradients: RecordGradients, weights: list[Any], drawn: Tensor, units: Tensor) -> None:
    """Fills ``grad_sample`` of each weight with one gradient a unit, ``(units, *shape)``.

    That of a unit of several records is the mean of theirs.
    """
    rows = torch.isin(units, drawn).nonzero().flatten()
    if not len(rows):  # a step that drew nobody adds noise alone
        for weight in weights:
            weight.grad_sample = torch.zeros((0, *weight.shape), device=weight.device)
        return
    gradients.fill(rows)
    if len(rows) == len(drawn):
        return
    place = torch.searchsorted(drawn, units[rows]).to(weights[0].device)
    sizes = place.bincount().to(weights[0].dtype)
    for weight in weights:
        each = weight.grad_sample.flatten(1) / sizes[place, None]
        summed = torch.zeros((len(drawn), each.shape[1]), device=weight.device)
        weight.grad_sample = summed.index_add_(0, place, each).view(-1, *weight.shape)
