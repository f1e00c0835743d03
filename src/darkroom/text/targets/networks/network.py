"""Running a model of the ``transformers`` library."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darkroom.errors import TargetError

KEEPS = "logits_to_keep"
"""The library's option that asks the head for the last places alone."""

MEMORY = 2 << 30
"""Bytes that reading may take beside the model, unless told."""


@dataclass(eq=False)
class Network:
    """A model that continues text or fills masks, in evaluation mode.

    Attributes:
        model: A ``PreTrainedModel``.
        name: What messages call it.
        batch: Rows answered at a time, at most.
        memory: Bytes that kept keys and values, and rows on their way, may take beside the model.
    """

    model: Any
    name: str
    batch: int = 256
    memory: int = MEMORY

    def __post_init__(self) -> None:
        """Freezes the model, and looks at what it takes."""
        self.model = self.model.eval().requires_grad_(False)
        parameters = inspect.signature(type(self.model).forward).parameters
        # The library has renamed the argument.
        self.cache_name = "cache" if "cache" in parameters else "past_key_values"
        self.takes = frozenset(parameters)

    @property
    def encodes(self) -> bool:
        """Whether an encoder reads one text, and a decoder writes another."""
        return bool(getattr(self.model.config, "is_encoder_decoder", False))

    @property
    def positions(self) -> int | None:
        """How many tokens it reads at most, or ``None`` where its configuration does not say."""
        most = getattr(self.model.config, "max_position_embeddings", None)
        return most if isinstance(most, int) and most > 0 else None

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
            **options: For the model, such as a cache; those that it does not take are left out.

        Raises:
            TargetError: If the model fails.
        """
        given = {"input_ids": ids.to(self.device), "attention_mask": present, **options}
        return self._called(given, ids.shape[1])

    @torch.inference_mode()
    def encode(self, ids: Tensor) -> Tensor:
        """Returns what the encoder makes of texts, ``(n, length, width)``.

        Args:
            ids: Tokens, int64 ``(n, length)``, none of them padding.

        Raises:
            TargetError: If the model fails.
        """
        try:
            encoder = self.model.get_encoder()
            answer = encoder(
                input_ids=ids.to(self.device),
                attention_mask=torch.ones_like(ids, device=self.device),
            )
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise self._failed(ids.shape[1], error) from None
        states: Tensor = answer.last_hidden_state
        return states

    @torch.inference_mode()
    def decode(self, states: Tensor, ids: Tensor, **options: Any) -> Any:
        """Runs the decoder behind what the encoder read.

        Args:
            states: From :meth:`encode`, of as many rows.
            ids: Tokens that the decoder has written, int64 ``(n, length)``.
            **options: For the model; those that it does not take are left out.

        Raises:
            TargetError: If the model fails.
        """
        from transformers.modeling_outputs import MoEModelOutput

        given = {
            "encoder_outputs": MoEModelOutput(last_hidden_state=states),
            "attention_mask": torch.ones(states.shape[:2], dtype=torch.int64),
            "decoder_input_ids": ids.to(self.device),
            **options,
        }
        return self._called(given, ids.shape[1])

    def _called(self, given: dict[str, Any], length: int) -> Any:
        taken = {name: value for name, value in given.items() if name in self.takes}
        if "attention_mask" in taken:
            taken["attention_mask"] = taken["attention_mask"].to(self.device, torch.int64)
        try:
            return self.model(**taken)
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
            raise self._failed(length, error) from None

    def _failed(self, length: int, error: Exception) -> TargetError:
        if self.positions is not None and length > self.positions:
            return TargetError(
                f"target {self.name}: {length} tokens are longer than it can read "
                f"({self.positions}): "
                "shorten the text before the secret"
            )
        # The message of the library may quote its input.
        return TargetError(
            f"target {self.name}: {type(self.model).__name__} failed on {length} tokens "
            f"({type(error).__name__}): try it with transformers alone, on the same machine"
        )


def logits_of(answer: Any) -> Tensor:
    """Returns the logits of words; models that were also trained on other tasks name them so."""
    logits: Tensor | None = getattr(answer, "logits", None)
    if logits is None:
        logits = answer.prediction_logits
    return logits
