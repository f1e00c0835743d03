"""Modules whose answer to one record hangs on the others of its batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from darkroom.errors import PlanError
from darkroom.training.frozen import in_training

MOST = 8
"""Records that a module is asked about."""


def require_apart(
    module: nn.Module,
    answers: Callable[[nn.Module, Tensor], Tensor],
    records: Tensor,
    change: Callable[[Tensor], Tensor],
    seeded: Callable[[], AbstractContextManager[None]],
    owner: str,
    unit: str,
) -> None:
    """Refuses a module whose answer to a record, in training, hangs on the others of its batch.

    Nobody's share of a step could be bounded then. PyTorch's draws are the same at every asking; a
    module that answers otherwise even so cannot be asked, and is refused too.

    Args:
        module: Is copied.
        answers: Asks a module about records, ``(n, ...)`` to ``(n, ...)``.
        records: Some, of which the first :data:`MOST` are asked about.
        change: Makes other records of some.
        seeded: Seeds what draws from PyTorch's global random state.
        owner: The defence, for messages.
        unit: What a record is, for messages.

    Raises:
        PlanError: If it does, or cannot be asked.
    """
    copied = in_training(copy.deepcopy(module))
    for layer in copied.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.eval()
    asked = records[:MOST]
    half = (len(asked) + 1) // 2
    others = torch.cat([asked[:half], change(asked[half:])])
    found = []
    for some in (asked, asked, others):
        with seeded(), torch.no_grad():
            found.append(answers(copied, some)[:half])
    first, again, mixed = found
    close = 1e-4 * max(1.0, float(first.abs().max()))
    if not torch.allclose(first, again, atol=close):
        raise PlanError(
            f"{owner}: in training, the module answers the same {unit}s otherwise when asked again "
            f"with PyTorch's random state as it was, so whether its answer to a {unit} hangs on "
            "others cannot be found out: draw with PyTorch's own generator, and keep nothing"
        )
    if not torch.allclose(first, mixed, atol=close):
        raise PlanError(
            f"{owner}: in training, the module's answer to a {unit} hangs on the others of its "
            f"batch, so no {unit}'s share of a step can be bounded and no epsilon would hold: take "
            "out what mixes rows, such as a batch's mean"
        )
