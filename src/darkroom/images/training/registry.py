"""All training defences by name."""

from __future__ import annotations

from darkroom.images.training.erasing import RandomErasing
from darkroom.images.training.regularised import (
    BilateralDependency,
    MutualInformation,
    NegativeLabelSmoothing,
)
from darkroom.images.training.uniform import UniformConfidence
from darkroom.named import Registry
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.dp_sgd import PrivateSGD
from darkroom.vision.training.transfer import Transfer

TRAINING_DEFENSES: Registry[ImageTraining] = Registry(
    "training defence",
    ImageTraining,
    Undefended,
    UniformConfidence,
    PrivateSGD,
    NegativeLabelSmoothing,
    BilateralDependency,
    MutualInformation,
    Transfer,
    RandomErasing,
    group="darkroom.training_defenses",
)
