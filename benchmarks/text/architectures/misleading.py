"""Adapters and heads that would mislead: each is right, or refused in one line."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peft
import torch
import transformers
from numpy.typing import NDArray

from benchmarks.claims import Claim, Table
from benchmarks.text.tokenizers import make_tokenizer
from darkroom.errors import DarkroomError
from darkroom.text.checks.model import check_model
from darkroom.text.targets.base import free
from darkroom.text.targets.options import LoadOptions
from darkroom.text.targets.transformers import TransformersTarget, load_transformers

PROMPT, ENDING = "the code of ann is ", "0145a."
Floats = NDArray[np.float64]


class Case(NamedTuple):
    """A folder that would mislead.

    Attributes:
        what: What it is.
        meet: Makes it in an empty folder, and returns the target and what plain ``transformers``
            and ``peft`` say of the ending; or ``None`` for both where it must be refused.
        way: Words of the line that refuses it.
    """

    what: str
    meet: Callable[[Path], tuple[TransformersTarget, Any]]
    way: str = ""


@cache
def _tokenizer() -> Any:
    return make_tokenizer("byte pairs")


def _llama(seed: int, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = transformers.LlamaConfig(
            vocab_size=len(_tokenizer()),
            hidden_size=options.get("hidden_size", 32),
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            initializer_range=0.2,
        )
        model: Any = transformers.LlamaForCausalLM(config)
        return model.eval()


def _saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _adapted(model: Any, folder: Path, config: Any = None, **options: Any) -> Any:
    """Returns a model with an adapter that changes it, which is saved too."""
    config = config or peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", **options
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        adapted: Any = peft.get_peft_model(model, config)
        for name, weight in adapted.named_parameters():
            if weight.requires_grad and "modules_to_save" not in name:
                weight.data += 0.3 * torch.randn_like(weight)
            elif weight.requires_grad:
                weight.data *= 1.5
    adapted.eval().save_pretrained(folder)
    return adapted


@torch.inference_mode()
def _told(model: Any) -> Floats:
    """Returns what a model says of the ending, by plain ``transformers``."""
    ids = _tokenizer()(PROMPT + ENDING, return_offsets_mapping=True)
    places = [n for n, (_, end) in enumerate(ids["offset_mapping"]) if end > len(PROMPT)]
    logits = model(input_ids=torch.tensor([ids["input_ids"]])).logits[0].double().log_softmax(-1)
    return np.array([float(logits[n - 1, ids["input_ids"][n]]) for n in places])


def cases() -> Iterator[Case]:
    """Yields adapters and heads that would mislead."""
    yield Case("an adapter named beside its base", _named)
    yield Case("an adapter and its base in one folder", _beside)
    yield Case("an adapter alone, whose base is on this machine", _alone)
    yield Case("an adapter alone, whose base is not there", _orphan, "holds only an adapter")
    yield Case("an adapter that was merged", _merged)
    yield Case("an adapter that also trained the head", _with_head)
    yield Case("DoRA", lambda folder: _named(folder, use_dora=True))
    yield Case("IA3", _ia3)
    yield Case("an adapter of another size of model", _other_size, "does not fit")
    yield Case("an adapter with half of its weights", _half, "are missing")
    yield Case("an adapter in a pickle", _pickled, "never unpickles")
    yield Case("an adapter of a classifier", _classifier, "trained for seq_cls")
    yield Case("prompt tuning", _prompts, "serve the model")
    yield Case("a classifier's head", _wrong_head, "no language-model head")


def _named(folder: Path, **options: Any) -> tuple[TransformersTarget, Any]:
    base = _saved(_llama(0), folder / "base")
    adapted = _adapted(_llama(0), folder / "adapter", **options)
    target = load_transformers(base, options=LoadOptions(adapter=folder / "adapter"))
    return target, _told(adapted)


def _beside(folder: Path) -> tuple[TransformersTarget, Any]:
    _saved(_llama(0), folder / "both")
    adapted = _adapted(_llama(0), folder / "both")
    return load_transformers(folder / "both"), _told(adapted)


def _alone(folder: Path, base: str = "base") -> tuple[TransformersTarget, Any]:
    _saved(_llama(0), folder / "base")
    adapted = _adapted(_llama(0), folder / "adapter")
    path = folder / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = str(folder / base)
    path.write_text(json.dumps(config), encoding="utf-8")
    return load_transformers(folder / "adapter"), _told(adapted)


def _orphan(folder: Path) -> tuple[TransformersTarget, Any]:
    return _alone(folder, "elsewhere")


def _merged(folder: Path) -> tuple[TransformersTarget, Any]:
    adapted = _adapted(_llama(0), folder / "adapter")
    truth = _told(adapted)
    return load_transformers(_saved(adapted.merge_and_unload(), folder / "merged")), truth


def _with_head(folder: Path) -> tuple[TransformersTarget, Any]:
    return _named(folder, modules_to_save=["lm_head"])


def _ia3(folder: Path) -> tuple[TransformersTarget, Any]:
    modules: dict[str, Any] = {
        "target_modules": ["k_proj", "down_proj"],
        "feedforward_modules": ["down_proj"],
    }
    return _named(folder, config=peft.IA3Config(task_type="CAUSAL_LM", **modules))


def _other_size(folder: Path) -> tuple[TransformersTarget, Any]:
    base = _saved(_llama(0, hidden_size=64), folder / "base")
    _adapted(_llama(0), folder / "adapter")
    return load_transformers(base, options=LoadOptions(adapter=folder / "adapter")), None


def _half(folder: Path) -> tuple[TransformersTarget, Any]:
    from safetensors.torch import load_file, save_file

    base = _saved(_llama(0), folder / "base")
    _adapted(_llama(0), folder / "adapter")
    path = folder / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: weights[name] for name in sorted(weights)[::2]}, path)
    return load_transformers(base, options=LoadOptions(adapter=folder / "adapter")), None


def _pickled(folder: Path) -> tuple[TransformersTarget, Any]:
    base = _saved(_llama(0), folder / "base")
    _adapted(_llama(0), folder / "adapter")
    path = folder / "adapter" / "adapter_model.safetensors"
    shutil.move(path, path.with_suffix(".bin"))
    return load_transformers(base, options=LoadOptions(adapter=folder / "adapter")), None


def _classifier(folder: Path) -> tuple[TransformersTarget, Any]:
    base = _saved(_llama(0), folder / "base")
    config: Any = _llama(0).config
    make: Any = transformers.LlamaForSequenceClassification  # untyped
    model = make(config)
    _adapted(model, folder / "adapter", peft.LoraConfig(r=4, task_type="SEQ_CLS"))
    return load_transformers(base, options=LoadOptions(adapter=folder / "adapter")), None


def _prompts(folder: Path) -> tuple[TransformersTarget, Any]:
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return _named(folder, config=config)


def _wrong_head(folder: Path) -> tuple[TransformersTarget, Any]:
    config: Any = _llama(0).config
    make: Any = transformers.LlamaForSequenceClassification  # untyped
    _saved(make(config), folder)
    target = load_transformers(folder)
    found = check_model(target, [[PROMPT + ENDING]], np.random.default_rng(0))
    raise DarkroomError(next(one.cause for one in found if one.outcome == "failed"))


def claims() -> tuple[list[Claim], Table]:
    """Meets all of them."""
    found = [(case.what, *met(case)) for case in cases()]
    rows = [(what, ending, said[:100]) for what, ending, said in found]
    wrong = sum(ending == "misled" for _, ending, _ in rows)
    return (
        [
            Claim("adapters and heads that would mislead", 7, len(rows)),
            Claim("of these neither right nor refused", 0, wrong, at_most=True),
        ],
        Table("Adapters and heads that would mislead", ("what", "ends in", "said"), rows),
    )


def met(case: Case) -> tuple[str, str]:
    """Returns how a case ends, and what was said."""
    with tempfile.TemporaryDirectory() as place:
        try:
            target, truth = case.meet(Path(place))
        except DarkroomError as error:
            line = str(error).replace(place, "")
            refused = bool(case.way) and case.way in line.lower() and "\n" not in line
            return ("refused" if refused else "misled"), line
        said = target.score([PROMPT], [ENDING], free())[0]
    if case.way:
        return "misled", "it was not refused"
    right = said.shape == truth.shape and float(np.abs(said - truth).max()) < 1e-4
    return ("right", "") if right else ("misled", "other answers than peft's")
