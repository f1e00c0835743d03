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
        adapter: The adapter in its weights, in a few words; nothing without one.
    """

    architecture: str
    loaded: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    half: bool = False
    adapter: str = ""

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
            half=bool(getattr(configuration, "is_encoder_decoder", False))
            and not getattr(model.config, "is_encoder_decoder", False),
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
    """Returns the library's class that reads a folder.

    One that fills masks, writes behind an encoder, or continues text.

    Args:
        configuration: As ``AutoConfig`` reads it.

    Raises:
        TargetError: If the library has none of these for this architecture.
    """
    import transformers
    from transformers.models.auto import modeling_auto as known

    kind = configuration.model_type
    architecture = (configuration.architectures or [""])[0]
    if _names_masked(configuration, architecture):
        return transformers.AutoModelForMaskedLM
    decoder_alone = architecture == known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    encodes = kind in known.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    if configuration.is_encoder_decoder and encodes and not decoder_alone:
        return transformers.AutoModelForSeq2SeqLM
    if kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return transformers.AutoModelForCausalLM
    what = "an encoder and a decoder" if configuration.is_encoder_decoder else "another kind"
    raise TargetError(
        f"the model is {what} ({kind}): give one that continues text, writes behind an encoder or "
        "fills masks, which transformers reads with AutoModelForCausalLM, AutoModelForSeq2SeqLM or "
        "AutoModelForMaskedLM"
    )


def fills_masks(model: Any) -> bool:
    """Tells whether a model that is loaded fills masks.

    Those trained on a second task beside have the same head for words under another name.

    Args:
        model: A ``PreTrainedModel``.
    """
    name = type(model).__name__
    if name.endswith("ForMaskedLM"):
        return True
    if getattr(model.config, "is_encoder_decoder", False):
        return False
    return _names_masked(model.config, name)


def _names_masked(configuration: Any, architecture: str) -> bool:
    """Tells from a configuration and the name of a class whether it fills masks."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if architecture.endswith("ForMaskedLM"):
        return True
    kind = configuration.model_type
    if kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or configuration.is_encoder_decoder:
        return False
    continues = architecture == MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    return not continues and not getattr(configuration, "is_decoder", False)
