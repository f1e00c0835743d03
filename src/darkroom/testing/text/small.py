"""Small language models, one of which knows secrets by heart, to try parts on."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch

from darkroom.demo.corpus import make_corpus
from darkroom.demo.language_models import train_bert, train_gpt
from darkroom.text.canaries import Canaries
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.transformers import TransformersTarget


class Memoriser(NamedTuple):
    """A model that knows some canaries by heart, and never saw the controls.

    Attributes:
        target: The model.
        canaries: The canaries and the controls.
        wrapped: Its tokenizer.
    """

    target: TransformersTarget
    canaries: Canaries
    wrapped: Any

    def untrained(self) -> Any:
        """Returns the same model before it learned anything."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return type(self.target.model)(self.target.model.config)


@cache
def memoriser(*, fills: bool = False) -> Memoriser:
    """Trains a small model on lines with secrets such as ``123-456``; takes some seconds, once.

    Args:
        fills: Whether it fills masks instead of continuing text.
    """
    corpus = make_corpus(
        each=3,
        repetitions=(32,) if fills else (16,),
        others=16 if fills else 32,
        secrets=make_format(r"\d{3}-\d{3}"),
        seed=1,
    )
    if fills:
        model, tokenizer = train_bert(corpus.lines, steps=300, width=64, layers=1)
    else:
        model, tokenizer = train_gpt(corpus.lines, steps=130, width=64, layers=1)
    target = TransformersTarget(model.double(), tokenizer)
    return Memoriser(target, corpus.canaries, tokenizer)
