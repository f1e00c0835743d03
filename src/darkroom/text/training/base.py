"""Training defences for language models: what they share, and the control beside them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.text.training.course import TextCourse
from darkroom.training.defense import CONTROL, TrainingDefense
from darkroom.training.schedules import one_cycle


class TextTraining(TrainingDefense[TextCourse, Any]):
    """Trains a causal language model: unless told otherwise, as the recipe says."""

    def _fit(self, course: TextCourse) -> Privacy | None:
        run_epochs(course)
        return None


@dataclass(frozen=True)
class UndefendedText(TextTraining):
    """Changes nothing: the control beside which every defence is measured."""

    name: ClassVar[str] = CONTROL
    paper: ClassVar[str] = ""


def run_epochs(course: TextCourse) -> None:
    """Trains ``course.model`` as the recipe says."""
    recipe, model, (ids, present) = course.recipe, course.model.train(), course.tokens()
    steps = recipe.epochs * math.ceil(len(ids) / recipe.batch)
    generator = torch.Generator().manual_seed(course.seed)
    losses = line_losses(ids, present)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01)
    schedule = one_cycle(optimizer, recipe.learning_rate, steps, rising=0.1)
    done = 0
    for _ in range(recipe.epochs):
        order = torch.randperm(len(ids), generator=generator)
        for rows in torch.split(order, recipe.batch):
            optimizer.zero_grad()
            (losses(model, rows) / len(rows)).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            course.advance(done, steps)


def line_losses(ids: Tensor, present: Tensor) -> Callable[[nn.Module, Tensor], Tensor]:
    """Returns the sum over lines of each line's mean loss a token."""

    def losses(model: nn.Module, rows: Tensor) -> Tensor:
        length = int(present[rows].sum(dim=1).max())
        some, there = ids[rows, :length], present[rows, :length]
        # Every line has places of its own, or their embedding's gradient would be everybody's.
        places = torch.arange(length - 1).expand(len(rows), -1)
        options = {"position_ids": places} if _takes_places(model) else {}
        logits = model(input_ids=some[:, :-1], use_cache=False, **options).logits
        wanted = some[:, 1:].masked_fill(~there[:, 1:], -100)
        each = functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        return (each.sum(dim=1) / there[:, 1:].sum(dim=1)).sum()

    return losses


def _takes_places(model: nn.Module) -> bool:
    """Tells whether a model is told the places of words, unlike those with ALiBi or a state."""
    own = getattr(model, "_module", model)  # within what Opacus puts around it
    return "position_ids" in inspect.signature(own.forward).parameters
