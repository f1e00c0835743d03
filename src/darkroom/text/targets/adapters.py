"""Adapters of the ``peft`` library: applied where they are, and never ignored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.errors import MissingExtraError, TargetError, one_line

CONFIG, WEIGHTS, PICKLED = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
)
_SPEAKS = frozenset([None, "CAUSAL_LM", "SEQ_2_SEQ_LM"])
"""What an adapter of a language model says that it was trained for."""

_PROMPTS = re.compile("PROMPT|PREFIX|P_TUNING|CPT")
"""Kinds that put learned vectors before the text, and change no weight."""


class Sources(NamedTuple):
    """Where a model comes from.

    Attributes:
        base: The folder of the model.
        adapter: The folder of its adapter, or ``None``.
    """

    base: Path
    adapter: Path | None


def find_sources(folder: Path, adapter: Path | None) -> Sources:
    """Returns where the model and its adapter are.

    An adapter that lies beside its base in one folder belongs to it. A folder that holds an adapter
    alone names its base, which is looked for on this machine.

    Args:
        folder: What a plan loads.
        adapter: What it names as the adapter.

    Raises:
        TargetError: If there are two adapters, or the base is not there.
    """
    own = folder if (folder / CONFIG).is_file() else None
    if adapter is not None and own is not None and adapter.resolve() != own.resolve():
        raise TargetError(
            f"{folder}: holds an adapter of its own, and [target] adapter names another: take "
            f"{CONFIG} out of it, or leave adapter out"
        )
    adapter = adapter or own
    if adapter is None or (folder / "config.json").is_file():
        return Sources(folder, adapter)
    if own is None:
        return Sources(folder, adapter)  # whose absence has a message of its own
    named = str(_described(own).get("base_model_name_or_path") or "")
    for place in (Path(named), own / named):
        if named and (place / "config.json").is_file():
            return Sources(place, own)
    of = f" of {named}" if named else ""
    raise TargetError(
        f"{folder}: holds only an adapter{of}, and nothing is downloaded: set [target] load to the "
        f'folder of that model, and adapter = "{folder}"'
    )


def apply_adapter(model: Any, adapter: Path, *, merged: bool = True) -> tuple[Any, str]:
    """Returns a model with an adapter in its weights, and what the adapter is in a few words.

    Args:
        model: A ``PreTrainedModel``; changed.
        adapter: A folder as ``peft`` writes it.
        merged: Whether the adapter is added to the weights; those of a quantised model stay.

    Raises:
        MissingExtraError: If ``peft`` is not installed.
        TargetError: If the adapter is for another task or another model, or cannot be merged.
    """
    config = _described(adapter)
    kind, task = str(config.get("peft_type", "")), config.get("task_type")
    if _PROMPTS.search(kind):
        raise TargetError(
            f"{adapter}: an adapter of kind {kind} puts learned vectors before the text and is no "
            'part of the weights: serve the model with it, and audit the server (kind = "openai")'
        )
    if task not in _SPEAKS and not _fills(model, task):
        raise TargetError(
            f"{adapter}: the adapter was trained for {task}, and names no words: give the adapter "
            "of a language model"
        )
    if not (adapter / WEIGHTS).is_file():
        pickled = "; Darkroom never unpickles" if (adapter / PICKLED).is_file() else ""
        raise TargetError(f"{adapter}: no {WEIGHTS}{pickled}: save it again with save_pretrained")
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "adapters") from error
    try:
        whole: Any = peft.PeftModel.from_pretrained(model, str(adapter))
        _require_all(whole, adapter)
        applied = whole.merge_and_unload(safe_merge=True) if merged else whole.get_base_model()
    except TargetError:
        raise
    except Exception as error:  # of three libraries, each with kinds of its own
        raise TargetError(
            f"{adapter}: the adapter does not fit {type(model).__name__} ({one_line(error)}): give "
            "the model that it was trained on"
        ) from error
    return applied, _words(config)


def _require_all(whole: Any, adapter: Path) -> None:
    """Refuses an adapter of which a part has no place, or is not there.

    Raises:
        TargetError: As above.
    """
    import peft
    from safetensors import safe_open

    with safe_open(adapter / WEIGHTS, "pt") as file:
        given = set(file.keys())
    placed = set(peft.get_peft_model_state_dict(whole, save_embedding_layers=False))
    # Words that were added are saved beside the adapter's own weights.
    lost = {name for name in given - placed if "embed" not in name and "lm_head" not in name}
    drawn = placed - given
    if lost or drawn or not given:
        raise TargetError(
            f"{adapter}: of the adapter's {len(given)} weights {len(lost)} have no place in "
            f"{type(whole.get_base_model()).__name__}, and {len(drawn)} that it needs are missing: "
            "give the model that it was trained on"
        )


def _described(adapter: Path) -> dict[str, Any]:
    try:
        config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetError(
            f"{adapter}: no readable {CONFIG} ({type(error).__name__}): give the folder that "
            "peft's save_pretrained wrote"
        ) from None
    if not isinstance(config, dict):
        raise TargetError(f"{adapter}: {CONFIG} is no object: save the adapter again")
    return config


def _fills(model: Any, task: object) -> bool:
    """Tells whether a model fills masks, whose adapters are called extractors of features."""
    return task == "FEATURE_EXTRACTION" and type(model).__name__.endswith("ForMaskedLM")


def _words(config: dict[str, Any]) -> str:
    rank = f" of rank {config['r']}" if isinstance(config.get("r"), int) else ""
    return f"{str(config.get('peft_type', 'adapter')).lower()}{rank}"
