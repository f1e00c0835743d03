"""Differentially private training of causal language models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from darkroom.auditing.record import Privacy
from darkroom.errors import PlanError
from darkroom.text.training.base import TextTraining, line_losses
from darkroom.text.training.course import TextCourse
from darkroom.training.mixing import MOST, require_apart
from darkroom.training.private_sgd import Descent, noise_for

_OWNER = "training defence dp-sgd for text"


@dataclass(frozen=True)
class PrivateText(TextTraining):
    """Trains a causal language model so that no single line can change it much.

    DP-SGD (Abadi et al. 2016) with Adam on the noisy gradients, as Li et al. 2022 (Large Language
    Models Can Be Strong Differentially Private Learners) do; see
    :class:`darkroom.vision.training.dp_sgd.PrivateSGD`. What is protected is one *line*: a secret
    that stands in k lines is protected like a group of k, so deduplicate first.

    Where Opacus cannot tell lines' gradients apart, as of experts and of some embeddings of places,
    lines pass one at a time, which takes longer and guarantees the same.

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

    def _fit(self, course: TextCourse) -> Privacy:
        """Trains ``course.model`` with clipped and noisy gradients.

        Raises:
            PlanError: If the module cannot be trained, or no noise is enough.
            MissingExtraError: If Opacus is not installed.
        """
        ids, present = course.tokens()
        require_apart(
            course.model,
            lambda model, lines: model(input_ids=lines, use_cache=False).logits,
            ids[:MOST, : int(present[:MOST].sum(dim=1).min())],
            lambda lines: lines.flip(1),
            course.seeded,
            _OWNER,
            "line",
        )
        rate = min(1.0, self.batch / len(ids))
        steps = math.ceil(self.epochs / rate)
        noise = noise_for(self.epsilon, self.delta, rate, steps, _OWNER)
        descent = Descent(noise, self.clip, rate, steps, self.at_once, _OWNER)
        descent.run(
            course.model,
            line_losses(ids, present),
            torch.arange(len(ids)),
            torch.optim.Adam(course.model.parameters(), lr=self.learning_rate),
            torch.Generator().manual_seed(course.seed),
            lambda done: course.advance(done, steps),
        )
        return descent.privacy("line", self.delta)
