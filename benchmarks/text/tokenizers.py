"""Tokenizers of every kind, small ones, among them those that look over a secret's boundaries."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

TEXT = [
    f"the code of {name} is {number:04d}{letter}."
    for number, name, letter in zip(
        itertools.count(8, 137), ["ann", "bob", "cy"] * 20, "abcab" * 12, strict=False
    )
]
KINDS = ("characters", "byte pairs", "word pieces", "unigram")
EDGES = (
    "joined with what follows",
    "digits from the left",
    "digits from the right",
    "added white space",
    "added numbers",
)
"""Tokenizers that look over the boundaries of a secret, or cut its beginning by its end."""

NUMBERS = [
    text
    for number in range(11, 9999, 37)
    for text in (
        f"the code of ann is {number}.",
        f'"pin": "{number:04d}", "of": "bob"',
        f"{number % 89:02d}-{number % 97:02d} is it, and {number}{number} not.",
    )
]
"""Lines from which those learn."""


def _characters() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _byte_pairs() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def _word_pieces() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    digits = list("0123456789abcdefghijklmnopqrstuvwxyz.-@")
    trainer = trainers.WordPieceTrainer(
        vocab_size=150, special_tokens=SPECIAL, initial_alphabet=digits, show_progress=False
    )
    # Every digit occurs within a word too.
    tokenizer.train_from_iterator([*TEXT, "x0123456789x", "abc0 ab-12"], trainer)
    return tokenizer


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=90,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        initial_alphabet=list("0123456789abc-@."),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def _joined() -> Tokenizer:
    """As Llama 2's and Gemma's: no text is parted beforehand, so that ``7.`` may be a token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    alphabet = sorted({character for text in (*TEXT, *NUMBERS) for character in text})
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<unk>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*TEXT, *NUMBERS], trainer)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def _grouped(pattern: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    parts = Regex(pattern + r"|\s?[^\s\p{N}]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(parts, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*TEXT, *NUMBERS], trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _from_the_left() -> Tokenizer:
    """As Llama 3's, and some others' of OpenAI."""
    return _grouped(r"\p{N}{1,3}")


def _from_the_right() -> Tokenizer:
    """As Claude 3's, and as numbers are written."""
    return _grouped(r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))")


def _with_added(*added: str) -> Tokenizer:
    tokenizer = _byte_pairs()
    tokenizer.add_tokens(list(added))
    return tokenizer


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "characters": _characters,
    "byte pairs": _byte_pairs,
    "word pieces": _word_pieces,
    "unigram": _unigram,
    "joined with what follows": _joined,
    "digits from the left": _from_the_left,
    "digits from the right": _from_the_right,
    "added white space": lambda: _with_added("  ", "   ", " \t"),
    "added numbers": lambda: _with_added("12", "77.", "4 ", "340", "0140"),
}


@cache
def make_tokenizer(kind: str, *, masked: bool = False) -> PreTrainedTokenizerFast:
    """Trains a tokenizer.

    Args:
        kind: One of ``KINDS`` or ``EDGES``.
        masked: Whether it has the marks of models that fill masks.
    """
    tokenizer: Tokenizer = _MAKERS[kind]()
    if masked:
        tokenizer.add_special_tokens(SPECIAL)
        opening, closing = (tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", opening), ("[SEP]", closing)]
        )
        return _wrapped(tokenizer, mask_token="[MASK]")
    return _wrapped(tokenizer)


def _wrapped(tokenizer: Tokenizer, **options: str) -> PreTrainedTokenizerFast:
    make: Any = PreTrainedTokenizerFast  # the library leaves its constructor untyped
    wrapped: PreTrainedTokenizerFast = make(tokenizer_object=tokenizer, **options)
    return wrapped
