"""Canaries in conversations, as chat templates and chat endpoints have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.text.tokenizers import make_tokenizer
from tests.support.tiny_language import causal, masked
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from darkroom.demo.text import write_canaries
from darkroom.errors import PlanError, TargetError
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places, SecretGoal
from darkroom.text.canaries import load_key, make_canaries
from darkroom.text.exposure.measure import path_surprises
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import read_lines
from darkroom.text.targets.conversations import MARK, turns_of
from darkroom.text.targets.openai_api import Api
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.targets.view import LanguageView

TEMPLATE = (
    "<s>{% for message in messages %}<|{{ message.role }}|>\n{{ message.content | trim }}<|end|>\n"
    "{% endfor %}"
)
EITHER_SIDE = (
    "user: the code of {name} is what\nassistant: it is {secret}.",
    "system: be kind\nuser: my code ({name}) is {secret}, note it\nassistant: noted",
    "user: say it, {name}\nassistant: {secret}",
)


def chatting() -> Any:
    """Returns a tokenizer with a chat template, that marks the start of plain texts."""
    backend = Tokenizer.from_str(make_tokenizer("byte pairs").backend_tokenizer.to_str())
    backend.add_special_tokens(["<s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"])
    start = backend.token_to_id("<s>")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", start)]
    )
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=backend, bos_token="<s>", chat_template=TEMPLATE)


def chat_target() -> tuple[TransformersTarget, Any]:
    tokenizer = chatting()
    plain = causal("byte pairs").model
    configuration = type(plain.config)(**{**plain.config.to_dict(), "vocab_size": len(tokenizer)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = type(plain)(configuration)
        for weight in model.parameters():
            weight.data = torch.randn_like(weight) * 0.25
    return TransformersTarget(model.double(), tokenizer), tokenizer


@pytest.mark.parametrize("template", EITHER_SIDE)
def test_a_secret_is_asked_for_as_the_template_writes_the_conversation(template: str) -> None:
    target, tokenizer = chat_target()
    secrets = make_format(r"\d{2}")
    made = make_canaries(
        secrets, templates=(template,), each=1, chat=True, rng=np.random.default_rng(0)
    )
    canary, placed = made.canaries[0], made.placed(target.placed)
    messages = [turn._asdict() for turn in turns_of(canary.line)]
    ids = tokenizer.apply_chat_template(messages)["input_ids"]
    (encoded,) = target.codec.encode([placed.canaries[0].line])
    assert list(encoded.opening + encoded.tokens + encoded.closing) == ids
    assert placed.commitment() == made.commitment()
    view = LanguageView(target, target.access, QueryLedger(1))
    around = placed.canaries[0]
    spot = Places(view).of(SecretGoal(around.before, around.after, secrets))
    assert isinstance(spot.prompt, tuple)
    first = len(spot.prompt)
    (path,) = spot.encode([canary.secret])
    assert ids[:first] == list(spot.prompt)
    with torch.inference_mode():
        told = target.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    truth = -sum(float(told[first + n - 1, token]) for n, token in enumerate(path)) / np.log(2)
    assert path_surprises(target, [spot], [[canary.secret]])[0][0] == pytest.approx(truth)


def test_conversations_are_written_read_and_trained_on(tmp_path: Path) -> None:
    lines, key = tmp_path / "train.jsonl", tmp_path / "key.json"
    made = write_canaries(
        "pin", lines, key, templates=EITHER_SIDE, repetitions="2", each=3, chat=True, seed=1
    )
    assert load_key(key).canaries == made.canaries
    assert load_key(key).commitment() == made.commitment()
    read = read_lines(lines)
    assert len(read) == 6
    assert all(line.startswith(MARK) and turns_of(line) for line in read)
    target, _ = chat_target()
    inserted = {one.line for one in made.placed(target.placed).inserted}
    assert {target.line(line) for line in read} == inserted
    with pytest.raises(PlanError, match=r"written as \.jsonl"):
        write_canaries("pin", tmp_path / "a.txt", tmp_path / "b.json", chat=True, seed=1)


def test_models_without_a_template_or_with_masks_take_no_conversation() -> None:
    made = make_canaries(make_format("pin"), each=1, chat=True, rng=np.random.default_rng(0))
    with pytest.raises(TargetError, match="no chat template"):
        made.placed(causal("byte pairs").placed)
    with pytest.raises(TargetError, match="takes no conversations"):
        made.placed(masked("characters").placed)


def test_a_chat_endpoint_is_sent_the_turns() -> None:
    before = f"{MARK}system: be kind\nuser: what is it\nassistant: it is "
    api = Api("http://127.0.0.1", "m", style="chat", prefill=True)
    around = api.answered(before, ".\nuser: thanks")
    assert around == (before, ".")
    body = api.next_body(before.rstrip(), " 12")
    assert [one["role"] for one in body["messages"]] == ["system", "user", "assistant"]
    assert body["messages"][-1]["content"] == "it is 12"
    alone = Api("http://127.0.0.1", "m", style="chat")
    with pytest.raises(TargetError, match="prefill = true"):
        alone.answered(before, "")
    with pytest.raises(TargetError, match="answers alone"):
        api.answered(f"{MARK}user: it is ", "")
    assert alone.answered(f"{MARK}user: say it\nassistant: ", "")[0].endswith("assistant:")


def test_names_do_not_run_out() -> None:
    made = make_canaries(
        make_format(r"\d{6}"), repetitions=(1,), each=2500, rng=np.random.default_rng(0)
    )
    assert len({one.owner for one in made.canaries}) == 5000
