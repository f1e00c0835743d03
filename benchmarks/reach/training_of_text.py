"""Language models of every architecture under DP-SGD: each is trained, or refused with the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.reach.rows import Row
from darkroom.text.training.base import UndefendedText
from darkroom.text.training.course import TextCourse, TextRecipe
from darkroom.text.training.private import PrivateText

WORDS, LENGTH, LINES = 64, 6, 16
_SMALL: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_GROUPED = {**_SMALL, "num_key_value_heads": 2, "head_dim": 8}
_EXPERTS = {**_GROUPED, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
_MPT = {"vocab_size": WORDS, "d_model": 32, "n_layers": 1, "n_heads": 4, "max_seq_len": 64}
_OPT = {**_SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32}
_STATES = {**_SMALL, "state_size": 4, "attention_hidden_size": 32, "context_length": 64}

KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("gpt2", "", {**_SMALL, "n_positions": 64}),
    ("llama", "", _GROUPED),
    ("qwen3", "", _GROUPED),
    ("gemma3_text", "", _GROUPED),
    ("phi3", "", _GROUPED),
    ("gpt_neox", "", _SMALL),
    ("opt", "", _OPT),
    ("bloom", "", {**_SMALL, "n_head": 4, "n_layer": 1}),
    ("mpt", "", _MPT),
    ("falcon", ", rotary", _SMALL),
    ("falcon", ", ALiBi", {**_SMALL, "alibi": True}),
    ("mixtral", "", _EXPERTS),
    ("olmoe", "", _EXPERTS),
    ("mamba", "", _STATES),
    ("rwkv", "", {**_STATES, "num_hidden_layers": 2}),
)
"""Architectures, what sets two of a kind apart, and their options."""


def rows() -> Iterator[Row]:
    """Yields what people have."""
    for kind, which, options in KINDS:
        yield Row("Opacus", f"{kind}{which}, dp-sgd", _learns(kind, options))


def _learns(kind: str, options: dict[str, Any]) -> Callable[[Path], bool]:
    """Trains; tells whether the model learns its lines, and the user's own is as it was."""

    def meet(folder: Path) -> bool:
        del folder
        model = make(kind, options)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        ids = torch.arange(1, 1 + LENGTH).repeat(LINES, 1)
        present = torch.ones_like(ids, dtype=torch.bool)
        recipe = TextRecipe(epochs=6, batch=8, learning_rate=0.02)
        course = TextCourse(model, (), lambda _: (ids, present), seed=0, recipe=recipe)
        defense = PrivateText(epsilon=50.0, batch=8, epochs=6, learning_rate=0.02)
        control, private = UndefendedText().train(course), defense.train(course)
        privacy = private.facts.privacy
        held = privacy is not None and 0 < privacy.epsilon <= 50
        first = _loss(model.eval(), ids)
        learned = all(_loss(one.model, ids) < 0.9 * first for one in (control, private))
        same = all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
        return held and learned and same

    return meet


def make(kind: str, options: dict[str, Any]) -> Any:
    """Returns a small model, always the same."""
    import transformers

    configuration: Any = transformers.AutoConfig.for_model(kind, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        auto: Any = transformers.AutoModelForCausalLM
        return auto.from_config(configuration).float()


def _loss(model: Any, ids: torch.Tensor) -> float:
    with torch.no_grad():
        return float(model(input_ids=ids, labels=ids).loss)
