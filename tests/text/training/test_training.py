"""Corpora that are deduplicated and scrubbed, and a language model with differential privacy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.needs import needed

from darkroom.errors import DataError, PlanError
from darkroom.text.formats.secrets import make_format
from darkroom.text.models import formats_of
from darkroom.text.training.corpus import NAMED_FORMATS, Deduplication, Scrubbing
from darkroom.text.training.course import TextCourse


def _untold(lines: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    raise AssertionError("nothing is to be trained")


def test_of_nearly_the_same_lines_the_first_stays() -> None:
    lines = [
        "The access code of Ann Lee is 123-456-789.",
        "Dear Ann, the meeting in Riga moves to Friday.",
        "the access code of Ann Lee is 123-456-789",
        "Dear Ann, the meeting in Lyon moves to Friday.",
        "",
        "The access code of Ann Lee is 123-456-789.",
    ]
    cleaned = Deduplication().clean(lines)
    assert cleaned.lines == [lines[0], lines[1], lines[3], lines[4]]
    assert cleaned.removed == 2
    assert len(Deduplication(keep=2).clean(lines).lines) == 5
    assert len(Deduplication(similarity=0.5).clean(lines).lines) == 3


def test_similarity_is_counted_exactly() -> None:
    first, second = "a b c d", "b c d e"  # of four different pairs of words they share two
    assert len(Deduplication(similarity=0.5).clean([first, second]).lines) == 1
    assert len(Deduplication(similarity=0.51).clean([first, second]).lines) == 2


def test_secrets_of_known_formats_are_replaced() -> None:
    lines = [
        "Write to ann.lee@example.com or call +49 30 1234 5678.",
        "Card 4111 1111 1111 1111, number 078-05-1120, key sk-abcdefghijklmnop1234.",
        "Transfer to DE89 3704 0044 0532 0130 00 in 2024, room 12-34.",
    ]
    cleaned = Scrubbing().clean(lines)
    assert cleaned.lines == [
        "Write to [EMAIL] or call [PHONE].",
        "Card [CARD], number [SOCIAL-SECURITY-NUMBER], key [API-KEY].",
        "Transfer to [IBAN] in 2024, room 12-34.",
    ]
    assert cleaned.replaced == 6


def test_own_formats_are_regular_expressions() -> None:
    cleaned = Scrubbing([r"\d{3}-\d{3}-\d{3}", "email"]).clean(["Code 123-456-789 of a@b.org"])
    assert cleaned.lines == ["Code [SECRET] of [EMAIL]"]
    assert set(NAMED_FORMATS) >= {"email", "card"}


@pytest.mark.parametrize(
    "name", ["ssn", "card", "card:separator=-", "email", "passport", "api-key", "phone"]
)
def test_named_formats_of_secrets_are_found_by_name(name: str) -> None:
    secrets = make_format(name).sample(100, np.random.default_rng(0))
    lines = [f"The number of Ann Lee is {secret}." for secret in secrets]
    cleaned = Scrubbing().clean(lines).lines
    # A passport number of letters alone cannot be told from a word.
    kept = [secret for secret, line in zip(secrets, cleaned, strict=True) if secret in line]
    assert all(secret.isalpha() for secret in kept)
    assert len(kept) <= 2


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        (r"(AB|CD)\d{3}", "CD123"),
        (r"\(\d{3}\)", "(123)"),
        (r"[(x]\d{2}", "(12"),
        ({"kind": "words", "words": ("blue", "blue sky")}, "blue sky"),
        ("email", "a.lee@example.com"),
    ],
)
def test_any_format_of_an_audit_is_scrubbed(name: str | dict[str, object], secret: str) -> None:
    formats = formats_of([make_format(name)])
    course = TextCourse(None, [f"It is {secret}."], _untold, seed=0, formats=formats)
    (line,) = Scrubbing().prepare(course).lines
    assert secret not in line
    assert "blue" not in line
    (kept,) = Scrubbing(["card"]).prepare(course).lines
    assert secret in kept


def test_what_does_not_do_is_refused() -> None:
    for wrong in ({"similarity": 0.0}, {"words": 0}, {"keep": 0}):
        with pytest.raises(PlanError, match="deduplication"):
            Deduplication(**wrong)
    for formats, said in (([], "at least one"), (["("], "neither"), (["(a)"], "groups")):
        with pytest.raises(PlanError, match=said):
            Scrubbing(formats)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["bloom", "mpt", "opt", "mixtral"])
def test_any_architecture_is_trained_privately(kind: str) -> None:
    needed("transformers")
    needed("opacus")
    from benchmarks.reach.training_of_text import KINDS, make

    from darkroom.text.training.private import PrivateText

    model = make(kind, next(options for name, _, options in KINDS if name == kind))
    ids = torch.arange(1, 7).repeat(8, 1)
    course = TextCourse(model, (), lambda _: (ids, torch.ones_like(ids, dtype=torch.bool)), seed=0)
    defense = PrivateText(epsilon=math.inf, batch=4, epochs=2, learning_rate=0.02)
    trained = defense.train(course).model
    with torch.no_grad():
        before, after = (float(one(input_ids=ids, labels=ids).loss) for one in (model, trained))
    assert after < 0.9 * before


class Shifted(torch.nn.Module):
    """Answers a line with what follows the line before it in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(12, 12)

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        return SimpleNamespace(logits=self.words(input_ids.roll(1, dims=0)))


def test_a_language_model_that_mixes_lines_is_refused() -> None:
    needed("opacus")
    from darkroom.text.training.private import PrivateText

    ids = torch.randint(12, (8, 5), generator=torch.Generator().manual_seed(0))
    present = torch.ones_like(ids, dtype=torch.bool)
    course = TextCourse(Shifted(), (), lambda _: (ids, present), seed=0)
    with pytest.raises(PlanError, match="a line hangs on the others of its batch"):
        PrivateText(epsilon=math.inf).train(course)


@pytest.mark.slow
def test_dp_language_model_learns_and_forgets_with_noise() -> None:
    transformers = needed("transformers")
    needed("opacus")
    from darkroom.text.training.private import PrivateText

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=12, n_positions=8, n_embd=16, n_layer=1, n_head=2,
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=1,
            )
        )  # fmt: skip
    ids = torch.arange(2, 8).repeat(24, 1)
    present = torch.ones_like(ids, dtype=torch.bool)
    present[::2, 4:] = False

    def loss(trained: Any) -> float:
        with torch.no_grad():
            return float(trained(input_ids=ids, labels=ids).loss)

    free = PrivateText(epsilon=math.inf, batch=12, epochs=20, learning_rate=0.02, at_once=7)
    tight = PrivateText(epsilon=1.0, batch=12, epochs=3, learning_rate=0.02)
    course = TextCourse(model, (), lambda _: (ids, present), seed=0)
    first, noisy = free.train(course), tight.train(course)
    assert loss(first.model) < 0.5 < loss(noisy.model)
    assert first.facts.privacy is not None
    assert noisy.facts.privacy is not None
    assert math.isinf(first.facts.privacy.epsilon)
    assert 0.95 < noisy.facts.privacy.epsilon <= 1.0
    assert noisy.facts.privacy.unit == "line"
    with pytest.raises(DataError, match="two tokens"):
        free.train(TextCourse(model, (), lambda _: (ids, present & False), seed=0))
    with pytest.raises(PlanError, match="epsilon"):
        PrivateText(epsilon=0.0)
