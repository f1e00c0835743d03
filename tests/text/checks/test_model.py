"""The causes that the check of a language model finds, on subjects set up rightly and wrongly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.support.tiny_language import memoriser

from darkroom.auditing.record import Check
from darkroom.demo.language_models import save_model
from darkroom.text.checks.model import check_model
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.codec import SOURCE_ENDS
from darkroom.text.targets.loading import Loading
from darkroom.text.targets.transformers import TransformersTarget, load_transformers

pytestmark = pytest.mark.medium


def checked(target: LanguageTarget, fills: bool) -> dict[str, Check]:
    lines = [one.line for one in memoriser(fills=fills).canaries.inserted]
    return {one.name: one for one in check_model(target, [lines], np.random.default_rng(0))}


def saved(model: Any, fills: bool, folder: Path) -> TransformersTarget:
    save_model(copy.deepcopy(model).float(), memoriser(fills=fills).wrapped, folder)
    return load_transformers(folder)


def classifier(fills: bool) -> Any:
    config = memoriser(fills=fills).target.model.config
    if fills:
        return transformers.BertForSequenceClassification(config)
    return transformers.GPT2ForSequenceClassification(config)


WRONG: dict[str, tuple[Callable[[bool], Any], str]] = {
    "untrained": (lambda fills: memoriser(fills=fills).untrained(), "weights not loaded"),
    "classifier": (classifier, "no language-model head"),
}


@pytest.mark.parametrize("fills", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WRONG)
def test_a_folder_whose_model_knows_nothing_is_told_why(
    name: str, fills: bool, tmp_path: Path
) -> None:
    make, cause = WRONG[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        found = checked(saved(make(fills), fills, tmp_path), fills)
    assert found["language"].outcome == "failed"
    assert found["language"].cause == cause
    assert found["language"].remedy


@pytest.mark.parametrize("fills", [False, True])
def test_a_sound_model_passes_as_object_and_from_a_folder(fills: bool, tmp_path: Path) -> None:
    target = memoriser(fills=fills).target
    for one in (target, saved(target.model, fills, tmp_path)):
        assert {check.outcome for check in checked(one, fills).values()} == {"passed"}


def test_a_body_whose_head_is_tied_to_its_words_is_sound(tmp_path: Path) -> None:
    body = memoriser().target.model.transformer
    assert {one.outcome for one in checked(saved(body, False, tmp_path), False).values()} == {
        "passed"
    }


def test_a_body_without_a_head_says_which_weights_are_missing(tmp_path: Path) -> None:
    found = checked(saved(memoriser(fills=True).target.model.bert, True, tmp_path), True)
    assert found["weights"].outcome == "failed"
    assert found["weights"].cause == "no language-model head"
    assert "cls.predictions" in found["weights"].found


@pytest.mark.medium
def test_a_model_trained_for_two_tasks_is_read_by_the_one_that_fills_masks(tmp_path: Path) -> None:
    known = memoriser(fills=True).target.model
    both = transformers.BertForPreTraining(known.config)
    both.load_state_dict(known.state_dict(), strict=False)
    target = saved(both, True, tmp_path)
    assert target.masked
    assert {one.outcome for one in checked(target, True).values()} == {"passed"}


def test_an_encoder_with_a_decoder_is_asked_whole_and_half_is_refused(tmp_path: Path) -> None:
    config = transformers.BartConfig(
        vocab_size=len(memoriser().wrapped),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=128,
    )
    bart = transformers.BartForConditionalGeneration(config)
    target = saved(bart, False, tmp_path)
    assert type(target.model) is transformers.BartForConditionalGeneration
    unread = checked(target, False)["language"]
    assert unread.outcome == "noted"
    assert "must say what each reads" in unread.found
    lines = [f"a{SOURCE_ENDS}{one.line}" for one in memoriser().canaries.inserted]
    found = check_model(target, [lines], np.random.default_rng(0))
    assert [one.cause for one in found[:2]] == ["", "weights not loaded"]  # whole, never trained
    described = tmp_path / "config.json"
    text = described.read_text().replace("BartForConditionalGeneration", "BartForCausalLM")
    described.write_text(text)
    target = load_transformers(tmp_path)
    assert checked(target, False)["weights"].cause == "half a model"


def test_missing_weights_that_are_no_head() -> None:
    assert not Loading("X", "X", missing=("model.layers.0.mlp.up.weight", "lm_head.weight")).no_head
    assert Loading("X", "X", missing=("lm_head.weight",)).no_head


@pytest.mark.parametrize("fills", [False, True])
def test_the_tokenizer_of_another_model(fills: bool) -> None:
    known = memoriser(fills=fills)
    model = copy.deepcopy(known.target.model)
    order = torch.randperm(len(known.wrapped), generator=torch.Generator().manual_seed(1))
    words = model.get_input_embeddings().weight  # which the head is tied to
    words.data = words.data[order]
    found = checked(TransformersTarget(model, known.wrapped), fills)["language"]
    assert (found.outcome, found.cause) == ("failed", "tokenizer of another model")


@pytest.mark.medium
def test_answers_that_are_drawn_at_random() -> None:
    known = memoriser()
    model = copy.deepcopy(known.target.model)
    target = TransformersTarget(model, known.wrapped)
    model.transformer.drop.p = 0.5
    model.transformer.drop.train()
    found = checked(target, False)["answers"]
    assert (found.outcome, found.cause) == ("failed", "random answers")


def test_answers_that_depend_on_texts_beside_them_are_asked_for_alone() -> None:
    known = memoriser()
    target = TransformersTarget(copy.deepcopy(known.target.model), known.wrapped)
    forward = target.network.forward

    def careless(ids: Any, present: Any, **options: Any) -> Any:
        answer = forward(ids, present, **options)
        if len(ids) > 1:
            answer.logits = answer.logits.roll(1, dims=-1)
        return answer

    target.network.forward = careless  # type: ignore[method-assign]
    assert target.reading.way == "alone"
    assert checked(target, False)["answers"].outcome == "passed"
