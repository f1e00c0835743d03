"""Running a model of the ``transformers`` library."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darkroom.errors import TargetError


@dataclass(eq=False)
class Network:
    """A model that continues text or fills masks, in evaluation mode.

    Attributes:
        model: A ``PreTrainedModel``.
        name: What messages call it.
        batch: Rows answered at a time.
        cached: Whether keys and values are kept; without, every prefix is read anew.
    """

    model: Any
    name: str
    batch: int = 256
    cached: bool = True

    def __post_init__(self) -> None:
        """Freezes the model, and looks at what it takes."""
        self.model = self.model.eval().requires_grad_(False)
        parameters = inspect.signature(type(self.model).forward).parameters
        # The library has renamed the argument.
        self.cache_name = "cache" if "cache" in parameters else "past_key_values"
        self.takes_positions = "position_ids" in parameters

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        device: torch.device = self.model.device
        return device

    @torch.inference_mode()
    def forward(self, ids: Tensor, present: Tensor, **options: Any) -> Any:
        """Runs the model.

        Args:
            ids: Tokens, int64 ``(n, length)``.
            present: Which places of past and present hold tokens, ``(n, past + length)``.
            **options: For the model, such as a cache.

        Raises:
            TargetError: If the model fails.
        """
        try:
            return self.model(
                input_ids=ids.to(self.device),
                attention_mask=present.to(self.device, torch.int64),
                **options,
            )
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            # The message of the library may quote its input.
            raise TargetError(
                f"target {self.name}: the model failed on {ids.shape[1]} tokens "
                f"({type(error).__name__}): are prompts longer than it can read?"
            ) from None
