"""Training defences of encoders of faces by name."""

from __future__ import annotations

from darkroom.named import Registry
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.dp_sgd import PrivateSGD

ENCODER_TRAININGS: Registry[ImageTraining] = Registry(
    "training defence",
    ImageTraining,
    Undefended,
    PrivateSGD,
    group="darkroom.training_defenses",
)
