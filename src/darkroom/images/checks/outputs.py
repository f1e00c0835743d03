"""Whether the model answers one class an image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.images.checks.knowledge import Knowledge
from darkroom.images.checks.sample import Images
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget

NAME = "outputs"

_ROWS = 64
_KNOWN = 0.5  # whoever names that many people rightly is a classifier, whatever its outputs


class _Kind(NamedTuple):
    """What outputs are that are no logits."""

    cause: str
    found: str
    remedy: str


def check_outputs(target: Target, images: Images, known: Knowledge) -> Check:
    """Asks whether what the model returns is one score a class, of classes that exclude another.

    Args:
        target: The model.
        images: Photos that it was trained on.
        known: How often it names the right person.
    """
    people = f"{target.classes:,} classes"
    if not isinstance(target, TorchTarget) or target.outputs != "logits":
        return Check(name=NAME, outcome="passed", found=f"The model answers {people}.")
    kind = _kind(_returned(target, images[:_ROWS]))
    if kind is None:
        return Check(name=NAME, outcome="passed", found=f"The model returns logits of {people}.")
    return Check(
        name=NAME,
        outcome="noted" if known.interval.estimate >= _KNOWN else "failed",
        found=kind.found,
        cause=kind.cause,
        remedy=kind.remedy,
    )


def _returned(target: TorchTarget, images: Images) -> NDArray[np.float64]:
    """Returns what the module itself returns, ``(n, classes)``."""
    with torch.no_grad():
        returned = target.answers(torch.from_numpy(images.copy()).to(target.device))
    array: NDArray[np.float64] = returned.cpu().double().numpy()
    return array


def _kind(returned: NDArray[np.float64]) -> _Kind | None:
    lengths, classes = np.sqrt((returned**2).sum(axis=1)), returned.shape[1]
    if np.allclose(lengths, 1, atol=1e-3):
        return _Kind(
            "outputs",
            f"The model returns {classes} numbers of length one: an embedding of the image, and "
            "no classes.",
            "Audit a model whose answers are one score a person: add the layer that names people.",
        )
    if returned.min() < 0 or returned.max() > 1:
        return None
    several = float((returned > 0.5).sum(axis=1).mean())
    if several >= 1.5:
        return _Kind(
            "outputs",
            f"The model returns {classes} numbers between 0 and 1, of which {several:.1f} are "
            "above one half on average: labels that do not exclude another, and no classes.",
            "Audit a model whose classes are people, of whom an image shows one.",
        )
    return _Kind(
        "outputs",
        f"The model returns {classes} numbers between 0 and 1 that do not sum to one, as after a "
        "sigmoid: taken for logits, they never make it sure.",
        "Return what stands before the sigmoid.",
    )
