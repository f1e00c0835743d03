"""How architectures are read, against plain transformers on whole lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.text.architectures.agreement import agreement
from benchmarks.text.architectures.nets import nets
from tests.support.tiny_language import causal, make_tokenizer
from transformers import BertConfig, BertLMHeadModel

from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.base import free
from darkroom.text.targets.networks.causal_trie import CausalTrie
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.targets.view import LanguageView

WAYS = {
    ("gpt_neox", "added white space"): "kept",
    ("mistral", "joined with what follows"): "kept",
    ("mamba", "byte pairs"): "anew",
    ("recurrent_gemma", "joined with what follows"): "anew",
    ("lfm2", "byte pairs"): "anew",
    ("t5", "unigram"): "anew",
    ("bart", "byte pairs"): "anew",
    ("switch_transformers", "unigram"): "alone",
    ("fnet", "unigram"): "masks",
    ("bert", "word pieces"): "masks",
}


@pytest.mark.medium
@pytest.mark.parametrize(("kind", "tokenizer"), WAYS)
def test_surprises_and_ranks_are_those_of_plain_transformers(kind: str, tokenizer: str) -> None:
    for net in nets():
        if (net.kind, net.tokenizer) == (kind, tokenizer):
            found = agreement(net, r"[ab1]\d")
            assert found.apart < 1e-3
            assert found.ranks == 0
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


@pytest.mark.medium
def test_a_bound_on_memory_changes_no_answer() -> None:
    free_of = causal("byte pairs", seed=4)
    bounded = free_of.with_model(free_of.model)
    bounded.network.memory = 300_000
    goal = SecretGoal("the code of ann is ", ".", make_format(r"\d{4}"))
    found = []
    for target in (free_of, bounded):
        view = LanguageView(target, target.access, QueryLedger(1))
        *_, last = BestFirst(rows=40).run(view, [goal], rng=np.random.default_rng(0))
        found.append(last.found[0])
    assert [one.secret for one in found[0].guesses] == [one.secret for one in found[1].guesses]
    assert found[0].floor == pytest.approx(found[1].floor)
    told = []
    for target in (free_of, bounded):
        trie = target.trie()
        assert isinstance(trie, CausalTrie)
        prefixes, _ = trie.open([tuple(range(40))], free())
        for _ in range(20):
            prefixes, answers = trie.extend(np.repeat(prefixes[:1], 30), np.arange(30), free())
        told.append(answers.logprobs)
        assert (trie.held_bytes <= bounded.network.memory) is (target is bounded)
    np.testing.assert_allclose(told[0], told[1], atol=1e-9)
