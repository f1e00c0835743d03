"""Small photos, a prior and a model of images, to try parts on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 8, 8))
CLASSES = 4
COMPONENTS = 12


def small_photos(n: int = 60, spec: ImageSpec = SPEC) -> NDArray[np.float32]:
    """Returns images of noise, float32 ``(n, channels, height, width)`` in a spec's range."""
    unit = np.random.default_rng(0).random((n, *spec.shape), np.float32)
    return (unit * spec.width_of_range + spec.low).astype(np.float32)


def small_prior(spec: ImageSpec = SPEC) -> EigenfacePrior:
    """Returns twelve principal components of :func:`small_photos`."""
    photos = small_photos(spec=spec)
    return EigenfacePrior.fit(photos, spec, components=COMPONENTS, augmentation=0)


def small_target() -> TorchTarget:
    """Returns a linear classifier that knows each class by a direction of :func:`small_prior`."""
    prior = small_prior()
    centre = prior.decode(torch.zeros(1, COMPONENTS))
    ways = (prior.decode(2 * torch.eye(COMPONENTS)[:CLASSES]) - centre).flatten(1)
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, ways.shape[1], CLASSES
    )
    with torch.no_grad():
        layer.weight.copy_(30 * ways / ways.norm(dim=1, keepdim=True))
        layer.bias.copy_(-(layer.weight @ centre.flatten()))
    return TorchTarget(nn.Sequential(nn.Flatten(), layer), SPEC.shape)
