"""Writing a small GPT-2 as GGUF, the format of llama.cpp, so that its server can serve it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

_NAMES = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
"""What each part of a block is called there."""


def write_gguf(path: Path, model: Any, tokenizer: Any) -> None:
    """Writes a GPT-2 with a byte-level tokenizer, and its chat template if it has one.

    Args:
        path: Where to, ending in ``.gguf``.
        model: A ``GPT2LMHeadModel``.
        tokenizer: Its ``PreTrainedTokenizerFast``, of byte pairs.
    """
    configuration = model.config
    writer: Any = gguf.GGUFWriter(path, "gpt2")
    writer.add_name("darkroom-demo")
    writer.add_context_length(configuration.n_positions)
    writer.add_embedding_length(configuration.n_embd)
    writer.add_feed_forward_length(4 * configuration.n_embd)
    writer.add_block_count(configuration.n_layer)
    writer.add_head_count(configuration.n_head)
    writer.add_layer_norm_eps(configuration.layer_norm_epsilon)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, tokenizer)
    for name, value in _tensors(model):
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any, tokenizer: Any) -> None:
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    assert described["model"]["type"] == "BPE"
    words = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    special = set(tokenizer.all_special_tokens)
    kinds = [
        gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word, _ in words
    ]
    merges = [
        merge if isinstance(merge, str) else " ".join(merge)
        for merge in described["model"]["merges"]
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([word for word, _ in words])
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(True)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _tensors(model: Any) -> list[tuple[str, np.ndarray[Any, np.dtype[np.float32]]]]:
    """Returns the weights under llama.cpp's names."""
    state = {name: value.float().cpu().numpy() for name, value in model.state_dict().items()}
    found = [
        ("token_embd.weight", state["transformer.wte.weight"]),
        ("position_embd.weight", state["transformer.wpe.weight"]),
        ("output.weight", state["transformer.wte.weight"]),
        ("output_norm.weight", state["transformer.ln_f.weight"]),
        ("output_norm.bias", state["transformer.ln_f.bias"]),
    ]
    for block in range(model.config.n_layer):
        for part, there in _NAMES.items():
            weight = state[f"transformer.h.{block}.{part}.weight"]
            # GPT-2 keeps the matrices of its linear layers the other way round.
            turned = weight.T if weight.ndim == 2 else weight
            found.append((f"blk.{block}.{there}.weight", np.ascontiguousarray(turned)))
            bias = state[f"transformer.h.{block}.{part}.bias"]
            found.append((f"blk.{block}.{there}.bias", bias))
    return found
