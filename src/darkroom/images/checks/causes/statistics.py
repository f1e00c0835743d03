"""What batch normalisation remembers of the images that a model was trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from darkroom.images.checks.sample import Images
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget


def misfit(target: Target, images: Images) -> float:
    """Returns how far images are from those in training, by the first batch normalisation.

    Args:
        target: The model.
        images: As the model shall be given them, ``(n, channels, height, width)``.

    Returns:
        The mean over channels of how far mean and log variance lie apart; 0 where nothing is
        remembered.
    """
    if not isinstance(target, TorchTarget):
        return 0.0
    layers = [
        layer
        for layer in target.model.modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]
    if not layers:
        return 0.0
    found: list[float] = []
    handle = layers[0].register_forward_pre_hook(
        lambda layer, inputs: found.append(_apart(layer, inputs[0]))
    )
    try:
        with torch.no_grad():
            given = np.ascontiguousarray(images, dtype=np.float32).copy()
            target.model(torch.from_numpy(given).to(target.device))
    finally:
        handle.remove()
    return found[0] if found else 0.0


def _apart(layer: nn.Module, inputs: Tensor) -> float:
    mean, variance = layer.running_mean, layer.running_var
    assert isinstance(mean, Tensor)
    assert isinstance(variance, Tensor)
    mean, variance = mean.cpu(), variance.cpu().double() + 1e-5
    channels = inputs.cpu().double().transpose(0, 1).flatten(1)
    far = (channels.mean(dim=1) - mean).abs() / variance.sqrt()
    wide = ((channels.var(dim=1) + 1e-5) / variance).log().abs()
    return float((far + wide).mean())
