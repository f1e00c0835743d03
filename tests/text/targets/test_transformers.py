from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.tiny_language import KINDS, causal, masked, memoriser

from darkroom.access import LanguageAccess
from darkroom.demo.language_models import save_model
from darkroom.errors import TargetError
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.text.targets.base import Sampling, free
from darkroom.text.targets.sampling import draw, temper
from darkroom.text.targets.transformers import load_transformers
from darkroom.text.targets.view import LanguageView

PROMPTS = ["the code of ann is ", "the code of bob", "code:"]
ENDINGS = ["0145a.", " is 1", "99"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fills", [False, True])
def test_a_batch_and_its_rows_one_by_one(kind: str, fills: bool) -> None:
    target = masked(kind) if fills else causal(kind)
    together = target.score(PROMPTS, ENDINGS, free())
    for number, scores in enumerate(together):
        alone = target.score(PROMPTS[number : number + 1], ENDINGS[number : number + 1], free())[0]
        np.testing.assert_allclose(scores, alone, atol=1e-9)
        assert (scores <= 0).all()


def test_kept_keys_and_values_change_nothing() -> None:
    for one, other in zip(
        causal("byte pairs").score(PROMPTS, ENDINGS, free()),
        causal("byte pairs", cached=False).score(PROMPTS, ENDINGS, free()),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_no_rows_are_no_answers() -> None:
    trie = causal("characters").trie()
    opened, _ = trie.open([(70, 71)], free())
    assert opened.shape == (1,)


def test_a_saved_model_is_loaded_and_answers_the_same(tmp_path: Path) -> None:
    known = memoriser()
    save_model(known.target.model, known.wrapped, tmp_path / "model")
    loaded = load_transformers(tmp_path / "model")
    for one, other in zip(
        loaded.score(PROMPTS, ENDINGS, free()),
        known.target.score(PROMPTS, ENDINGS, free()),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert loaded.access is LanguageAccess.WEIGHTS
    assert loaded.fingerprint() != causal("byte pairs").fingerprint()


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"no config\.json"):
        load_transformers(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(TargetError, match="never unpickles"):
        load_transformers(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(TargetError, match=r"no tokenizer\.json"):
        load_transformers(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TargetError, match="not a readable language model") as caught:
        load_transformers(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_prompt_that_is_too_long_is_one_clear_line() -> None:
    with pytest.raises(TargetError, match="longer than it can read"):
        causal("characters").score(["x" * 200], ["1"], free())


def test_a_prompt_of_nothing_is_refused() -> None:
    with pytest.raises(TargetError, match="empty prompt"):
        causal("characters").trie().open([()], free())


def test_greedy_continuations_are_those_of_the_search() -> None:
    known = memoriser()
    canary = known.canaries.inserted[0]
    prompt = canary.before.rstrip()
    rng = np.random.default_rng(0)
    texts = known.target.sample([prompt] * 2, 8, Sampling(temperature=0), rng, free())
    assert texts[0] == texts[1]
    with pytest.raises(TargetError, match="fills masks"):
        masked("characters").sample(["x"], 3, Sampling(), rng, free())


def test_drawing_follows_the_probabilities() -> None:
    logprobs = np.log(np.tile([[0.5, 0.3, 0.15, 0.05]], (20_000, 1)))
    rng = np.random.default_rng(0)
    shares = np.bincount(draw(logprobs, Sampling(), rng), minlength=4) / 20_000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=0.012)
    np.testing.assert_allclose(np.exp(temper(logprobs[0], Sampling(1.0, 2))), [0.625, 0.375, 0, 0])
    np.testing.assert_allclose(np.exp(temper(logprobs[0], Sampling(0.0))), [1, 0, 0, 0])


def test_a_ledger_is_charged_before_anything_is_asked() -> None:
    ledger = QueryLedger(2, Limit(per_goal=2))
    view = LanguageView(causal("characters"), LanguageAccess.WEIGHTS, ledger)
    view.surprises(PROMPTS[:2], ENDINGS[:2], np.array([0, 1]))
    assert ledger.spent.tolist() == [1, 1]
    with pytest.raises(BudgetExhausted):
        view.surprises(PROMPTS[:2], ENDINGS[:2], np.array([0, 0]))
    assert ledger.spent.tolist() == [1, 1]
    trie = view.trie()
    trie.open([(70,), (71,)], np.array([0, 1]))
    with pytest.raises(BudgetExhausted):
        trie.open([(70,)], np.array([0]))


def test_a_target_gives_no_more_than_it_has() -> None:
    with pytest.raises(TargetError, match="fills no masks"):
        causal("characters").score_fillings([], [], free())
