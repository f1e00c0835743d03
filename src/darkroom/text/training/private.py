"""Differentially private training of causal language models."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.errors import DataError, PlanError
from darkroom.training.private_sgd import Descent, epsilon_of, noise_for

_OWNER = "training defence dp-sgd for text"


class TrainedText(NamedTuple):
    """A trained language model.

    Attributes:
        model: In evaluation mode.
        privacy: What its training guarantees, for one line.
    """

    model: Any
    privacy: Privacy


@dataclass(frozen=True)
class PrivateText:
    """Trains a causal language model so that no single line can change it much.

    DP-SGD (Abadi et al. 2016) with Adam on the noisy gradients, as Li et al. 2022 (Large Language
    Models Can Be Strong Differentially Private Learners) do; see
    :class:`darkroom.images.training.dp_sgd.PrivateSGD`. What is protected is one *line*: a secret
    that stands in k lines is protected like a group of k, so deduplicate first.

    Differences from Li et al.: no ghost clipping, no mixed precision, and the learning rate falls
    along half a cosine.

    Attributes:
        epsilon: What may be spent on one line, above 0; ``inf`` clips without noise.
        delta: At which chance, in (0, 1).
        clip: The largest norm of what one line adds to a step, above 0.
        batch: Lines a step on average, 1 or more.
        epochs: Passes over the lines, 1 or more.
        learning_rate: Of Adam, above 0.
        at_once: Lines whose gradients are held in memory.
    """

    name: ClassVar[str] = "dp-sgd"
    paper: ClassVar[str] = "Abadi et al. 2016; Li et al. 2022"

    epsilon: float = 8.0
    delta: float = 1e-5
    clip: float = 1.0
    batch: int = 128
    epochs: int = 8
    learning_rate: float = 2e-3
    at_once: int = 32

    def __post_init__(self) -> None:
        """Refuses what cannot be trained or accounted for.

        Raises:
            PlanError: If a value is out of its range.
        """
        if not (self.epsilon > 0 and 0 < self.delta < 1):
            raise PlanError(
                f"{_OWNER}: epsilon {self.epsilon:g} and delta {self.delta:g}: give above 0, and "
                "between 0 and 1"
            )
        if (
            min(self.clip, self.learning_rate) <= 0
            or min(self.batch, self.epochs, self.at_once) < 1
        ):
            raise PlanError(
                f"{_OWNER}: clip and learning_rate must be above 0, batch, epochs and at_once 1 or "
                "more"
            )

    def train(
        self,
        model: Any,
        ids: Tensor,
        present: Tensor,
        *,
        rng: np.random.Generator,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> TrainedText:
        """Trains a copy of a model on lines.

        Args:
            model: A causal language model of ``transformers``, with dropout or without.
            ids: Tokens, padded behind, int64 ``(lines, length)``.
            present: Which are no padding, bool ``(lines, length)``.
            rng: Decides everything random; must be secret where the model is released.
            on_progress: Told how many steps are done, of how many.

        Raises:
            DataError: If the two do not fit, or a line has fewer than two tokens.
            PlanError: If the module cannot be trained, or no noise is enough.
            MissingExtraError: If Opacus is not installed.
        """
        if ids.shape != present.shape or ids.ndim != 2 or not (present.sum(dim=1) >= 2).all():
            raise DataError(
                f"{_OWNER}: tokens {list(ids.shape)} and marks {list(present.shape)}: give both "
                "(lines, length), two tokens a line at least"
            )
        seed, lines = int(rng.integers(2**31)), len(ids)
        rate = min(1.0, self.batch / lines)
        steps = math.ceil(self.epochs / rate)
        noise = noise_for(self.epsilon, self.delta, rate, steps, _OWNER)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            trained = copy.deepcopy(model).requires_grad_(True)
            plain = torch.optim.Adam(trained.parameters(), lr=self.learning_rate)
            Descent(noise, self.clip, rate, steps, self.at_once, _OWNER).run(
                trained,
                line_losses(ids, present),
                torch.arange(lines),
                plain,
                torch.Generator().manual_seed(seed),
                lambda done: on_progress(done, steps) if on_progress else None,
            )
        return TrainedText(trained.eval(), self._privacy(noise, rate, steps))

    def _privacy(self, noise: float, rate: float, steps: int) -> Privacy:
        return Privacy(
            unit="line",
            epsilon=epsilon_of(noise, self.delta, rate, steps),
            delta=self.delta,
            noise_multiplier=noise,
            sample_rate=rate,
            steps=steps,
        )


def line_losses(ids: Tensor, present: Tensor) -> Callable[[nn.Module, Tensor], Tensor]:
    """Returns the sum over lines of each line's mean loss a token."""

    def losses(model: nn.Module, rows: Tensor) -> Tensor:
        length = int(present[rows].sum(dim=1).max())
        some, there = ids[rows, :length], present[rows, :length]
        # Every line has places of its own, or their embedding's gradient would be everybody's.
        places = torch.arange(length - 1).expand(len(rows), -1)
        logits = model(input_ids=some[:, :-1], position_ids=places, use_cache=False).logits
        wanted = some[:, 1:].masked_fill(~there[:, 1:], -100)
        each = functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        return (each.sum(dim=1) / there[:, 1:].sum(dim=1)).sum()

    return losses
