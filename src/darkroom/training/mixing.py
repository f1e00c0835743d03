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

    Nobody's share of a step could be bounded then. A module that draws at random cannot be asked.

    Args:
        module: Is copied.
        answers: Asks a module about records, ``(n, ...)`` to ``(n, ...)``.
        records: Some, of which the first :data:`MOST` are asked about.
        change: Makes other records of some.
        seeded: Seeds what draws from PyTorch's global random state.
        owner: The defence, for messages.
        unit: What a record is, for messages.

    Raises:
        PlanError: If it does.
    """
    copied = in_training(copy.deepcopy(module))
    for layer in copied.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.eval()
    asked = records[:MOST]
    half = (len(asked) + 1) // 2
    others = torch.cat([asked[:half], change(asked[half:])])
    with seeded(), torch.no_grad():
        first, again, mixed = (answers(copied, one)[:half] for one in (asked, asked, others))
    close = 1e-4 * max(1.0, float(first.abs().max()))
    if torch.allclose(first, again, atol=close) and not torch.allclose(first, mixed, atol=close):
        raise PlanError(
            f"{owner}: in training, the module's answer to a {unit} hangs on the others of its "
            f"batch, so no {unit}'s share of a step can be bounded and no epsilon would hold: take "
            "out what mixes rows, such as a batch's mean"
        )
