"""Small random models of every architecture, and the tokenizer of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import transformers
from transformers import PreTrainedTokenizerFast

from benchmarks.text.tokenizers import make_tokenizer

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
GROUPED: dict[str, Any] = {**SMALL, "num_key_value_heads": 2, "head_dim": 8}
SIDES = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 128,
    "decoder_start_token_id": 2,
    "pad_token_id": 0,
}
T5 = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
FEW_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
LINEAR = {"layer_types": ["linear_attention", "full_attention"]}


class Net(NamedTuple):
    """An architecture.

    Attributes:
        kind: Its ``model_type``.
        tokenizer: Its tokenizer; see :mod:`benchmarks.text.tokenizers`.
        options: Of its configuration.
        head: The library's class that makes it.
        larger: How much larger its weights are than usual, so that some continuations are much
            likelier.
    """

    kind: str
    tokenizer: str
    options: dict[str, Any]
    head: str = "AutoModelForCausalLM"
    larger: float = 5.0

    @property
    def masked(self) -> bool:
        """Whether it fills masks."""
        return self.head in ("AutoModelForMaskedLM", "AutoModelForPreTraining")

    def make(self) -> tuple[Any, PreTrainedTokenizerFast]:
        """Returns the model, in single precision, and its tokenizer."""
        tokenizer = make_tokenizer(self.tokenizer, masked=self.masked)
        configuration: Any = transformers.AutoConfig.for_model(
            self.kind, vocab_size=len(tokenizer), **self.options
        )
        auto: Any = getattr(transformers, self.head)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            model = auto.from_config(configuration).float().eval()
            _spread(model, self.larger)
        return model, tokenizer


def _spread(model: torch.nn.Module, larger: float) -> None:
    for name, weight in model.named_parameters():
        if weight.ndim >= 2 and not name.endswith("A_log"):
            weight.data *= larger


def nets() -> Iterator[Net]:
    """Yields every architecture."""
    yield from _decoders()
    yield from _experts()
    yield from _recurrent()
    yield from _masked()
    yield from _encoders_and_decoders()


def _decoders() -> Iterator[Net]:
    joined, left = "joined with what follows", "digits from the left"
    small = ("gpt_bigcode", "bloom", "persimmon", "starcoder2", "biogpt")
    yield Net("gpt2", "byte pairs", {**SMALL, "n_positions": 128})
    yield from (Net(kind, "byte pairs", SMALL) for kind in small)
    yield Net("opt", "byte pairs", {**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32})
    for kind in ("gpt_neox", "phi"):
        yield Net(kind, "added white space", SMALL)
    rotary = {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "n_positions": 128}
    yield Net("gptj", "byte pairs", {**rotary, "bos_token_id": None, "eos_token_id": None})
    yield Net("mpt", "byte pairs", {"d_model": 32, "n_heads": 4, "n_layers": 2})
    for alibi in (False, True):
        yield Net("falcon", "byte pairs", {**SMALL, "alibi": alibi})
    for kind in ("llama", "gemma", "phi3", "glm4"):
        yield Net(kind, joined, GROUPED)
    for kind in ("llama", "qwen2", "qwen3", "olmo2", "smollm3", "cohere2", "granite", "exaone4"):
        yield Net(kind, left, GROUPED)
    yield Net("stablelm", "unigram", GROUPED)
    for kind in ("mistral", "gemma2", "gemma3_text", "ministral"):
        yield Net(kind, joined, {**GROUPED, "sliding_window": 6})
    yield Net("openai-gpt", "byte pairs", {"n_embd": 32, "n_layer": 2, "n_head": 4})


def _experts() -> Iterator[Net]:
    for kind in ("mixtral", "granitemoe", "olmoe"):
        yield Net(kind, "byte pairs", {**GROUPED, **FEW_EXPERTS})
    experts = {**FEW_EXPERTS, "moe_intermediate_size": 16}
    yield Net("qwen3_moe", "byte pairs", {**GROUPED, **experts})
    yield Net("gpt_oss", "digits from the right", {**GROUPED, **FEW_EXPERTS, "sliding_window": 6})


def _recurrent() -> Iterator[Net]:
    for kind in ("mamba", "falcon_mamba", "rwkv"):
        yield Net(kind, "byte pairs", {**SMALL, "state_size": 8, "attention_hidden_size": 32})
    yield Net("recurrent_gemma", "joined with what follows", {**SMALL, "num_hidden_layers": 3})
    yield Net("lfm2", "byte pairs", {**GROUPED, "layer_types": ["conv", "full_attention"]})
    jamba = {**GROUPED, **FEW_EXPERTS, "attn_layer_period": 2, "attn_layer_offset": 1}
    yield Net("jamba", "byte pairs", {**jamba, "mamba_d_state": 8, "use_mamba_kernels": False})
    linear = {
        **GROUPED,
        **LINEAR,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    }
    experts = {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, **FEW_EXPERTS}
    yield Net("qwen3_next", "byte pairs", {**linear, **experts})
    yield Net("qwen3_5_text", "byte pairs", linear)
    yield Net("olmo_hybrid", "byte pairs", {**GROUPED, **LINEAR})


def _masked() -> Iterator[Net]:
    head = "AutoModelForMaskedLM"
    bert = {key: SMALL[key] for key in SMALL if not key.endswith("token_id")}
    for kind in ("bert", "electra", "roformer", "mobilebert"):
        options = {"embedding_size": 32, "intra_bottleneck_size": 32}
        yield Net(kind, "word pieces", {**bert, **options}, head)
    distilled = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    yield Net("distilbert", "word pieces", {**distilled, "max_position_embeddings": 128}, head)
    yield Net("roberta", "byte pairs", {**bert, "pad_token_id": 1}, head)
    yield Net("deberta-v2", "unigram", {**bert, "relative_attention": True}, head)
    special = {"pad_token_id": 0, "cls_token_id": 0, "sep_token_id": 0, "local_attention": 8}
    modern = {**bert, **special, "bos_token_id": 0, "eos_token_id": 0}
    yield Net("modernbert", "added white space", modern, head)
    yield Net("fnet", "unigram", bert, head)
    albert = {**bert, "embedding_size": 16}
    yield Net("albert", "unigram", albert, head)
    for kind in ("bert", "albert", "fnet", "megatron-bert"):
        options = {**bert, "embedding_size": 16}
        yield Net(kind, "word pieces", options, "AutoModelForPreTraining")


def _encoders_and_decoders() -> Iterator[Net]:
    head = "AutoModelForSeq2SeqLM"
    # Their attention is not scaled down, so that larger weights would magnify rounding.
    for kind in ("t5", "mt5", "umt5", "longt5"):
        yield Net(kind, "unigram", T5, head, larger=2.0)
    switch = {**T5, "num_experts": 4, "num_sparse_encoder_layers": 1}
    switch["num_sparse_decoder_layers"] = 1
    yield Net("switch_transformers", "unigram", switch, head, larger=2.0)
    for kind in ("bart", "mbart", "pegasus", "blenderbot", "marian"):
        yield Net(kind, "byte pairs", SIDES, head)
