"""Tiny language models with known tokenizers, in double precision, for tests."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from benchmarks.text.tokenizers import EDGES as EDGES
from benchmarks.text.tokenizers import KINDS as KINDS
from benchmarks.text.tokenizers import TEXT as TEXT
from benchmarks.text.tokenizers import make_tokenizer as make_tokenizer
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from darkroom.testing.text.small import memoriser as memoriser
from darkroom.text.targets.transformers import TransformersTarget


def _randomised(model: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for parameter in model.parameters():
            # Larger than usual, so that some continuations are much likelier than others.
            parameter.data = torch.randn_like(parameter) * 0.25
    return model.double()


@cache
def causal(kind: str, *, seed: int = 0, cached: bool = True) -> TransformersTarget:
    tokenizer = make_tokenizer(kind)
    configuration = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = _randomised(GPT2LMHeadModel(configuration), seed)
    return TransformersTarget(model, tokenizer, cached=cached, batch=128)


@cache
def masked(kind: str, *, seed: int = 0) -> TransformersTarget:
    tokenizer = make_tokenizer(kind, masked=True)
    configuration = BertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    return TransformersTarget(
        _randomised(BertForMaskedLM(configuration), seed), tokenizer, batch=128
    )
