"""Checks of training defences for language models."""

from __future__ import annotations

import torch

from darkroom.testing.images.trainings import weights
from darkroom.testing.text.small import memoriser
from darkroom.testing.trainings import check_training
from darkroom.text.training.base import TextTraining
from darkroom.text.training.course import TextCourse, TextRecipe


def small_course() -> TextCourse:
    """Returns a few lines with secrets, and a small GPT that drops out."""
    from transformers import GPT2Config, GPT2LMHeadModel

    known = memoriser()
    configuration = GPT2Config(
        vocab_size=len(known.wrapped),
        n_positions=64,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(configuration)
    corpus = [f"The code of {name} is {n}{n}." for n in range(8) for name in ("ann", "bob")]
    corpus += ["Write to ann@example.org now.", "Write to ann@example.org now!"]
    recipe = TextRecipe(epochs=1, batch=4)
    return TextCourse(model, corpus, known.target.tokens_of, 5, (r"\d\d",), recipe)


def check_training_defense(defense: TextTraining) -> None:
    """Checks a training defence on :func:`small_course`.

    Args:
        defense: With parameters for a small problem, such as few epochs of its own.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_training(defense, small_course(), weights, lambda: torch.rand(1))
