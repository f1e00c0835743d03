"""Best-first search against the bare cached forward passes that it cannot do without."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from transformers import DynamicCache

from benchmarks.claims import Claim, tell
from benchmarks.text.tokenizers import make_tokenizer
from darkroom.access import LanguageAccess
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.targets.view import LanguageView

BARS = {50_257: 0.7, 152_000: 0.5}
"""Vocabularies, and the least ratio; the first with GPT-2's configuration has 124M weights."""

CONTEXT = "the code of bob is 0145a. " * 8
OWNERS = ("ann", "bob", "cy")
MEMORY = 512 << 20
"""Bytes that reading may take beside the model."""


class Pass(NamedTuple):
    """One forward pass: rows, new tokens, and all tokens with those before."""

    rows: int
    new: int
    whole: int


def claims(*, quick: bool) -> list[Claim]:
    """Times both vocabularies, ours and the bare passes in turn, with random weights.

    Args:
        quick: Asks for fewer rows.
    """
    found = []
    for vocabulary, bar in BARS.items():
        ratio, taken = _measured(vocabulary, 50 if quick else 300)
        size = f"{vocabulary:,} tokens"
        room = f"MB taken beside the model at peak, under a bound of {MEMORY >> 20}, {size}"
        found += [
            Claim(f"best-first over bare cached passes, GPT-2 of 124M layout, {size}", bar, ratio),
            Claim(room, MEMORY >> 20, taken, at_most=True),
        ]
    return found


def _measured(vocabulary: int, rows: int) -> tuple[float, float | None]:
    """Returns the ratio of times, and the MB that the first search takes beside the model."""
    config = transformers.GPT2Config(
        vocab_size=vocabulary, bos_token_id=None, eos_token_id=None, use_cache=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = transformers.GPT2LMHeadModel(config)
    target = TransformersTarget(model.eval(), make_tokenizer("byte pairs"))
    target.network.memory = MEMORY
    assert target.reading.way == "kept"
    passes: list[Pass] = []
    forward = target.network.forward

    def noted(ids: Any, present: Any, **options: Any) -> Any:
        passes.append(Pass(ids.shape[0], ids.shape[1], present.shape[1]))
        return forward(ids, present, **options)

    target.network.forward = noted  # type: ignore[method-assign]
    ours, theirs, taken = [], [], None
    for turn in range(3):
        passes.clear()
        before = _resident("VmRSS") if turn == 0 and _peak_forgotten() else None
        ours.append(_searched(target, rows))
        taken = taken if before is None else _resident("VmHWM") - before
        theirs.append(_bare(model, passes))
    tell(f"{vocabulary:,} tokens: ours {ours} s, bare {theirs} s, {taken} MB")
    return float(np.median(np.array(theirs) / np.array(ours))), taken


def _peak_forgotten() -> bool:
    """Lets Linux count the peak of this process's memory anew; tells whether it does."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(what: str) -> float:
    """Returns MB of this process's memory: ``VmRSS`` now, or ``VmHWM`` at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def _searched(target: TransformersTarget, rows: int) -> float:
    secrets = make_format(r"\d{9}")
    goals = [SecretGoal(f"{CONTEXT}the code of {one} is ", ".", secrets) for one in OWNERS]
    view = LanguageView(target, LanguageAccess.WEIGHTS, QueryLedger(len(goals)))
    began = time.perf_counter()
    for _ in BestFirst(rows=rows).run(view, goals, rng=np.random.default_rng(0)):
        pass
    return time.perf_counter() - began


@torch.inference_mode()
def _bare(model: Any, passes: list[Pass]) -> float:
    """Times the same passes with a cache of the library's own, which is not part of the time."""
    config, seconds = model.config, 0.0
    width = config.n_embd // config.n_head
    for one in passes:
        cache: Any = DynamicCache()
        for layer in range(config.n_layer if one.whole > one.new else 0):
            shape = (one.rows, config.n_head, one.whole - one.new, width)
            cache.update(torch.zeros(shape), torch.zeros(shape), layer)
        ids = torch.zeros((one.rows, one.new), dtype=torch.long)
        present = torch.ones((one.rows, one.whole), dtype=torch.long)
        began = time.perf_counter()
        model(input_ids=ids, attention_mask=present, cache=cache, use_cache=True)
        seconds += time.perf_counter() - began
    return seconds


if __name__ == "__main__":
    for claim in claims(quick=True):
        print(claim.record())
