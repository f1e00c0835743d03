"""How architectures are read, against plain transformers on whole lines."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from benchmarks.text.architectures.agreement import agreement
from benchmarks.text.architectures.nets import nets
from tests.support.tiny_language import causal, make_tokenizer
from transformers import BertConfig, BertLMHeadModel

from darkroom.errors import TargetError
from darkroom.text.targets.base import free
from darkroom.text.targets.transformers import TransformersTarget

WAYS = {
    ("gpt_neox", "added white space"): "kept",
    ("mistral", "joined with what follows"): "kept",
    ("mamba", "byte pairs"): "anew",
    ("recurrent_gemma", "joined with what follows"): "anew",
    ("lfm2", "byte pairs"): "anew",
    ("t5", "unigram"): "anew",
    ("bart", "byte pairs"): "anew",
    ("fnet", "unigram"): "masks",
    ("bert", "word pieces"): "masks",
}


@pytest.mark.parametrize(("kind", "tokenizer"), WAYS)
def test_surprises_and_ranks_are_those_of_plain_transformers(kind: str, tokenizer: str) -> None:
    for net in nets():
        if (net.kind, net.tokenizer) == (kind, tokenizer):
            found = agreement(net, r"[ab1]\d")
            assert found.holds
            assert not found.said
            assert found.reads == WAYS[kind, tokenizer]


def test_a_model_that_looks_at_what_follows_is_refused() -> None:
    tokenizer = make_tokenizer("byte pairs")
    small: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, is_decoder=True, **small)
    with torch.random.fork_rng(devices=[]):
        model: Any = BertLMHeadModel(config)
    assert TransformersTarget(model, tokenizer).reading.way in ("kept", "anew")
    model.bert.config.is_decoder = False
    for layer in model.bert.encoder.layer:
        layer.attention.self.is_causal = False
    model.config.is_decoder = True
    with pytest.raises(TargetError, match="looks at the words behind"):
        TransformersTarget(model, tokenizer).score(["the code"], [" is 1"], free())


def test_rows_beside_one_that_change_it_are_read_alone() -> None:
    target = causal("byte pairs", seed=3)
    other = target.with_model(target.model)
    forward = other.network.forward

    def crowded(ids: Any, present: Any, **options: Any) -> Any:
        answer = forward(ids, present, **options)
        answer.logits = answer.logits + (len(ids) - 1) * torch.arange(answer.logits.shape[-1])
        return answer

    other.network.forward = crowded  # type: ignore[method-assign]
    assert other.reading.way == "alone"
    assert "much slower" in other.reads
    assert other.score(["the code", "of ann"], [" is 1", " 2"], free())[0] == pytest.approx(
        target.score(["the code"], [" is 1"], free())[0]
    )
