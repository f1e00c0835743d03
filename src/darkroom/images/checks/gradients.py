"""Whether a model with weights shows gradients."""

from __future__ import annotations

import torch

from darkroom.access import Access
from darkroom.auditing.record import Check
from darkroom.images.checks.sample import Images
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.networks.slopes import slopes_tell

NAME = "gradient"

_ROWS = 8  # photos


def check_gradient(target: Target, images: Images) -> Check:
    """Asks for the gradient of log-confidences in photos, where there should be one.

    Args:
        target: The model.
        images: Photos, of different people.
    """
    if target.access is not Access.WEIGHTS:
        if not isinstance(target, TorchTarget):
            return Check(
                name=NAME, outcome="passed", found=f"The model shows {target.access}, no weights."
            )
        return _missing(
            "No gradient reaches the image that tells how answers change: it is audited with "
            "scores."
        )
    rows = torch.from_numpy(images[:_ROWS].copy()).requires_grad_()
    told = target.log_scores(rows)
    weights = torch.linspace(-1, 1, told.shape[1], dtype=told.dtype)
    (gradient,) = torch.autograd.grad((told * weights).sum(), rows)
    if not bool(torch.isfinite(gradient).all()):
        return _missing("The gradient in some photos is not finite.")
    moved = gradient.flatten(1).abs().amax(dim=1) > 0
    if not bool(moved.any()):
        return _missing("The gradient in all photos tried is zero.")
    if not slopes_tell(target.log_scores, rows.detach()[: len(rows) // 2 * 2]):
        return _missing("Gradients do not account for how answers change from photo to photo.")
    return Check(name=NAME, outcome="passed", found="Gradients reach the image.")


def _missing(found: str) -> Check:
    return Check(
        name=NAME,
        outcome="noted",
        found=found,
        cause="no gradient",
        remedy="Let the forward pass be differentiable: no no_grad, inference_mode, detach, NumPy "
        "or rounding in it.",
    )
