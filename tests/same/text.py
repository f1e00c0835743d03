"""Lines with codes in them, a small model that has learned them, and plans that audit it.

The model is trained in double precision, so that it comes out the same on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from darkroom.demo.corpus import held_out_lines, make_corpus
from darkroom.demo.language_models import save_model
from darkroom.text.canaries import save_key
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines

STEPS, BATCH, WIDTH = 90, 32, 48
END, PAD = "</s>", "<pad>"

START = """\
[run]
name = "{name}"
seed = 4
out = "runs"
naive = {naive}

[target]
kind = "transformers"
load = "{load}"
{before}
[private]
canaries = "key.json"
rank_rows = 30
references = 40
held_out = "held_out.txt"
{corpus}"""

ATTACKS = (
    START.format(name="text", naive="true", load="model", before='before = "before"\n', corpus="")
    + """
[[attack]]
name = "best-first"
rows = 40

[[attack]]
name = "sampling"
rows = 12

[[attack]]
name = "averaging"
candidates = 8
rows = 48

[[defense]]
name = "logprob-rounding"
step = 0.5

[[defense]]
name = "logprob-noise"
deviation = 0.4

[[defense]]
name = "top-logprobs"
k = 4
"""
)

TRAININGS = (
    START.format(
        name="text-trainings",
        naive="false",
        load="before",
        before="",
        corpus='corpus = "corpus.txt"\n',
    )
    + """
[recipe]
epochs = 12
batch = 16
learning_rate = 8e-3

[[training]]
name = "deduplication"

[[training]]
name = "scrubbing"

[[training]]
name = "dp-sgd"
epochs = 1
batch = 32

[[attack]]
name = "best-first"
rows = 24
"""
)

PLANS = {"text": ATTACKS, "text-trainings": TRAININGS}


def write(folder: Path) -> None:
    """Writes the lines, the key, the model before and after training, and the plans."""
    corpus = make_corpus(
        each=2, repetitions=(1, 12), others=24, secrets=make_format(r"\d{2}-\d{2}"), seed=1
    )
    tokenizer = _tokenizer()
    model = _untrained(tokenizer)
    save_model(model, tokenizer, folder / "before")
    _train(model.double(), tokenizer, corpus.lines)
    save_model(model.float(), tokenizer, folder / "model")
    save_key(folder / "key.json", corpus.canaries)
    write_lines(folder / "corpus.txt", corpus.lines)
    write_lines(folder / "held_out.txt", held_out_lines(corpus.canaries, seed=9, count=20))
    for name, plan in PLANS.items():
        (folder / f"{name}.toml").write_text(plan)


def _tokenizer() -> Any:
    """Returns a tokenizer of single bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {mark: number for number, mark in enumerate([PAD, END, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    make: Any = PreTrainedTokenizerFast  # the library leaves its constructor untyped
    return make(tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=PAD)


def _untrained(tokenizer: Any) -> Any:
    """Returns a model of one layer, whose weights NumPy draws."""
    configuration = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=96,
        n_embd=WIDTH,
        n_layer=1,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model: Any = GPT2LMHeadModel(configuration)
    rng = np.random.default_rng(5)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            drawn = rng.standard_normal(tuple(parameter.shape), np.float32)
            parameter.data = torch.from_numpy(drawn) * (0.02 if "wpe" in name else 0.06)
    return model


def _train(model: Any, tokenizer: Any, lines: list[str]) -> None:
    rows = [[*row, tokenizer.eos_token_id] for row in tokenizer(lines)["input_ids"]]
    ids = torch.full((len(rows), max(map(len, rows))), -100)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    rng = np.random.default_rng(6)
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    for _ in range(STEPS):
        some = ids[torch.from_numpy(rng.integers(0, len(rows), BATCH))]
        logits = model(input_ids=some[:, :-1].clamp_min(0)).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), some[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
