"""People who are points of a prior's latent space, so that what an attack finds has a truth."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

SIDE, DIMENSIONS, PEOPLE = 8, 12, 6
SPEC = ImageSpec((1, SIDE, SIDE))


def basis() -> Tensor:
    """Orthonormal images, ``(dimensions, pixels)``, scaled so that none is clipped."""
    drawn = torch.randn(SIDE * SIDE, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    rows: Tensor = torch.linalg.qr(drawn)[0].T * 0.1
    return rows


def people() -> Tensor:
    """Where each person is, ``(people, dimensions)``, at a typical distance from the middle."""
    drawn = torch.randn(PEOPLE, DIMENSIONS, generator=torch.Generator().manual_seed(1))
    return drawn / drawn.square().mean(dim=1, keepdim=True).sqrt()


def latents(images: Tensor | NDArray[np.float32]) -> Tensor:
    """Where images are, ``(n, dimensions)``."""
    return (torch.as_tensor(images).flatten(1) - 0.5) @ basis().T / 0.01


def make_prior() -> EigenfacePrior:
    """What an attacker knows: the space itself."""
    return EigenfacePrior(torch.full(SPEC.shape, 0.5), basis(), SPEC)
