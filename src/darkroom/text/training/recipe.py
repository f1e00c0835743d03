"""How an audit trains a language model on lines: the same whatever was done to the lines."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from darkroom.named import Registry
from darkroom.text.training.corpus import Deduplication, Scrubbing
from darkroom.text.training.private import PrivateText, line_losses


@dataclass(frozen=True)
class TextRecipe:
    """Training without privacy: AdamW, one rise and fall of the rate, gradients cut at norm one.

    Attributes:
        epochs: Passes over the lines, 1 or more.
        batch: Lines a step, 1 or more.
        learning_rate: The highest, above 0.
    """

    epochs: int = 10
    batch: int = 48
    learning_rate: float = 2e-3

    def train(
        self,
        model: Any,
        ids: Tensor,
        present: Tensor,
        *,
        rng: np.random.Generator,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Any:
        """Trains a copy of a causal language model of ``transformers`` on lines.

        Args:
            model: With dropout or without; left as it is.
            ids: Tokens, padded behind, int64 ``(lines, length)``.
            present: Which are no padding, bool ``(lines, length)``.
            rng: Decides the order of lines, and dropout.
            on_progress: Told how many steps are done, of how many.

        Returns:
            The copy, in evaluation mode.
        """
        seed, lines = int(rng.integers(2**31)), len(ids)
        steps = self.epochs * math.ceil(lines / self.batch)
        generator = torch.Generator().manual_seed(seed)
        losses = line_losses(ids, present)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            trained = copy.deepcopy(model).requires_grad_(True).train()
            rate = self.learning_rate
            optimizer = torch.optim.AdamW(trained.parameters(), lr=rate, weight_decay=0.01)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, rate, total_steps=steps, pct_start=0.1, anneal_strategy="cos"
            )
            done = 0
            for _ in range(self.epochs):
                order = torch.randperm(lines, generator=generator)
                for rows in torch.split(order, self.batch):
                    optimizer.zero_grad()
                    (losses(trained, rows) / len(rows)).backward()  # type: ignore[no-untyped-call]
                    torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
                    done += 1
                    if on_progress is not None:
                        on_progress(done, steps)
        return trained.eval()


@dataclass(frozen=True)
class UndefendedText:
    """Changes nothing: the control beside which every defence is measured."""

    name: ClassVar[str] = "none"
    paper: ClassVar[str] = ""


TextTraining = UndefendedText | Deduplication | Scrubbing | PrivateText

TEXT_TRAININGS: Registry[TextTraining] = Registry(
    "training defence",
    object,
    UndefendedText,
    Deduplication,
    Scrubbing,
    PrivateText,
    group="darkroom.training_defenses",
)
