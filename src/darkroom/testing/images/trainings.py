"""Checks of training defences for classifiers of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from darkroom.testing.trainings import check_training
from darkroom.vision.training.base import ImageTraining
from darkroom.vision.training.course import ImageCourse, Recipe, Strangers


def small_course() -> ImageCourse:
    """Returns twelve photos of three people, as many of strangers, and a net that drops out."""
    rng = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(36, 3)
        )
    images, others = (rng.random((12, 1, 8, 8), dtype=np.float32) for _ in range(2))
    people = np.repeat(np.arange(3), 4)
    recipe = Recipe(epochs=2, batch=4)
    strangers = Strangers(others, people)
    return ImageCourse.of(module, images, people, seed=5, strangers=strangers, recipe=recipe)


def weights(module: nn.Module) -> dict[str, Any]:
    """Returns the weights and buffers of a module as lists."""
    return {name: value.tolist() for name, value in module.state_dict().items()}


def check_training_defense(defense: ImageTraining) -> None:
    """Checks a training defence on :func:`small_course`.

    Args:
        defense: With parameters for a small problem, such as few epochs of its own.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_training(defense, small_course(), weights, lambda: torch.rand(1))
