"""How a language model in a folder is read: precision, devices, tokenizer, version."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkroom.errors import MissingExtraError, TargetError
from darkroom.text.targets.networks.network import MEMORY


@dataclass(frozen=True)
class LoadOptions:
    """How a folder is read; see :class:`darkroom.text.targets.sections.TransformersSection`.

    Attributes:
        memory: Bytes that reading may take beside the model.
        adapter: The folder of an adapter.
        bare: Whether an adapter that lies in the folder is left out.
        tokenizer: The folder of the tokenizer, where it is another.
        dtype: In which precision the model runs; as it was saved when left out.
        device_map: How ``accelerate`` spreads it over devices.
        quantization: ``4bit`` or ``8bit``.
        revision: Which version in the local cache of the Hugging Face Hub.
        encoder: What an encoder reads, with ``{before}`` and ``{after}``.
        decoder: What the decoder has written before the secret.
    """

    memory: int = MEMORY
    adapter: Path | None = None
    bare: bool = False
    tokenizer: Path | None = None
    dtype: str | None = None
    device_map: str | dict[str, str | int] | None = None
    quantization: str | None = None
    revision: str | None = None
    encoder: str = "{before}"
    decoder: str = "{before}"

    @property
    def remedy(self) -> str:
        """What to do where the library reads no model, told these options."""
        told = [name for name in ("dtype", "device_map", "quantization") if getattr(self, name)]
        other = f"try it without [target] {' and '.join(told)}, or " if told else ""
        return f"{other}save it again with save_pretrained"

    def of_library(self) -> dict[str, Any]:
        """Returns what ``from_pretrained`` is told.

        Raises:
            MissingExtraError: If a library for it is not installed.
            TargetError: As above, where Darkroom has no extra for it.
        """
        told: dict[str, Any] = {}
        if self.dtype is not None:
            told["dtype"] = self.dtype
        if self.device_map is not None:
            if importlib.util.find_spec("accelerate") is None:
                raise MissingExtraError("accelerate", "adapters")
            told["device_map"] = self.device_map
        if self.quantization is not None:
            if importlib.util.find_spec("bitsandbytes") is None:
                raise TargetError(
                    "[target] quantization reads weights with bitsandbytes, which is not "
                    "installed: run pip install bitsandbytes"
                )
            from transformers import BitsAndBytesConfig

            make: Any = BitsAndBytesConfig  # untyped
            told["quantization_config"] = make(**{f"load_in_{self.quantization}": True})
        return told


def in_cache(folder: Path, revision: str | None) -> Path:
    """Returns a folder, or that of a model in the local cache of the Hugging Face Hub.

    Args:
        folder: A folder, or one that is not there and ends as ``owner/model``.
        revision: Which version of the cached model.

    Raises:
        TargetError: If a version is wanted of a folder, or is not in the cache.
    """
    if folder.exists():
        if revision is not None:
            raise TargetError(
                f"{folder}: a folder has no versions, so [target] revision {revision!r} chooses "
                "nothing: leave it out, or name a model of the Hub's local cache as owner/model"
            )
        return folder
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return folder
    name = "/".join(folder.parts[-2:])
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        if revision is None:
            return folder  # whose absence has a message of its own
        raise TargetError(
            f"{name}: version {revision!r} is not in the local cache of the Hub, and nothing is "
            f"downloaded: run hf download {name} --revision {revision}"
        ) from None
