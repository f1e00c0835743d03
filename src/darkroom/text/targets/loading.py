"""How a folder became a model: what the ``transformers`` library did not find in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darkroom.errors import TargetError

_HEADS = ("lm_head", "embed_out", "cls", "generator", "vocab", "mlm", "head", "prediction")
"""Of names of the parts that turn a model's last layer into words."""


@dataclass(frozen=True)
class Loading:
    """What is known of a folder that was loaded.

    Attributes:
        architecture: What the folder says that it holds.
        loaded: As what it was loaded.
        missing: Weights that are not in the folder, and were drawn at random.
        unexpected: Weights in the folder that the model has no place for.
        half: Whether the model is one half of an encoder and a decoder.
    """

    architecture: str
    loaded: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    half: bool = False

    @classmethod
    def of(cls, model: Any, report: Mapping[str, Any], configuration: Any) -> Loading:
        """Reads the library's own report.

        Args:
            model: What was loaded.
            report: The second answer of ``from_pretrained(..., output_loading_info=True)``.
            configuration: The folder's.
        """
        # A weight of another shape is put in place by none.
        lost = [*report.get("missing_keys", ()), *_names(report.get("mismatched_keys", ()))]
        return cls(
            architecture=(configuration.architectures or [""])[0],
            loaded=type(model).__name__,
            missing=tuple(sorted(set(lost))),
            unexpected=tuple(sorted(set(report.get("unexpected_keys", ())))),
            half=bool(getattr(configuration, "is_encoder_decoder", False)),
        )

    @property
    def no_head(self) -> bool:
        """Whether all that is missing is the part that names the next token."""
        return bool(self.missing) and all(
            any(part in name for part in _HEADS) for name in self.missing
        )


def _names(keys: Any) -> list[str]:
    return [str(key if isinstance(key, str) else key[0]) for key in keys]


def head_of(configuration: Any) -> Any:
    """Returns the library's class that reads a folder: one that fills masks, or continues text.

    Args:
        configuration: As ``AutoConfig`` reads it.

    Raises:
        TargetError: If the library has neither for this architecture.
    """
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if _fills_masks(configuration):
        return transformers.AutoModelForMaskedLM
    kind = configuration.model_type
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return transformers.AutoModelForCausalLM
    what = "an encoder and a decoder" if configuration.is_encoder_decoder else "another kind"
    raise TargetError(
        f"the model is {what} ({kind}): give one that continues text or fills masks, which "
        "transformers reads with AutoModelForCausalLM or AutoModelForMaskedLM"
    )


def _fills_masks(configuration: Any) -> bool:
    """Tells from a folder's configuration whether its model fills masks.

    Args:
        configuration: As ``AutoConfig`` reads it.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    architecture = (configuration.architectures or [""])[0]
    if architecture.endswith("ForMaskedLM"):
        return True
    kind = configuration.model_type
    if kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or configuration.is_encoder_decoder:
        return False
    continues = architecture == MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    return not continues and not getattr(configuration, "is_decoder", False)
