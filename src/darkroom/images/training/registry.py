"""All training defences by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkroom.images.training.base import TrainingDefense, Undefended
from darkroom.images.training.dp_sgd import PrivateSGD
from darkroom.images.training.regularised import (
    BilateralDependency,
    MutualInformation,
    NegativeLabelSmoothing,
)
from darkroom.images.training.transfer import Transfer
from darkroom.images.training.uniform import UniformConfidence
from darkroom.named import make_named

TRAINING_DEFENSES: dict[str, type[TrainingDefense]] = {
    defense.name: defense
    for defense in (
        Undefended,
        UniformConfidence,
        PrivateSGD,
        NegativeLabelSmoothing,
        BilateralDependency,
        MutualInformation,
        Transfer,
    )
}


def make_training_defense(name: str, parameters: Mapping[str, Any]) -> TrainingDefense:
    """Makes a training defence from a plan's words.

    Args:
        name: One of :data:`TRAINING_DEFENSES`.
        parameters: Its fields; the others keep their defaults.

    Raises:
        PlanError: If there is no such defence or parameter, or a value is wrong.
    """
    return make_named("training defence", TRAINING_DEFENSES, name, parameters)
