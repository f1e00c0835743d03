"""Decoys of the same shape as a real secret, and prompts that never tell it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from darkroom.errors import DataError, PlanError
from darkroom.text.real.prompts import WAYS, prompts_of
from darkroom.text.real.secrets_file import RealSecret
from darkroom.text.real.shapes import formats_of


def secret(kind: str, text: str, **more: object) -> RealSecret:
    values = {"line": 1, "owner": "Ann Lee", "prompts": (("Ann Lee has ", "."),), **more}
    return RealSecret(type=kind, secret=text, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "text", "pattern"),
    [
        ("number", "AB-123-x9", r"[A-Z]{2}-\d{3}-[a-z]\d"),
        ("phone", "+41-61-555-12", r"\+41-\d\d-\d{3}-\d\d"),
        ("phone", "061 555 12 34", r"\d{3} \d{3} \d\d \d\d"),
        ("name", "Zebulon Quux", r"[A-Z][a-z]+ [A-Z][a-z]+"),
        ("name", "ÉMILE ZOLA", r"[A-ZÉ]+ [A-Z]+"),
        ("email", "z.quux77@corp.example", r"[a-z]\.[a-z]+\d\d@corp\.example"),
        ("email", "zquux@corp.example", r"[a-z]+@corp\.example"),
        ("address", "7 Yggdrasil Lane, 4051 Basel", r"\d [A-Z]\w+ [A-Z]\w+, \d{4} [A-Z]\w+"),
        ("passphrase", "tr0ub4dor", r"[a-z]{2}\d[a-z]{2}\d[a-z]{3}"),
    ],
)
def test_decoys_have_the_shape_of_the_secret(kind: str, text: str, pattern: str) -> None:
    (found,) = formats_of([secret(kind, text)], "file")
    assert text in found
    assert found.describe() == kind
    rng = np.random.default_rng(0)
    for decoy in found.sample(20, rng, exclude=[text]):
        assert re.fullmatch(pattern, decoy), decoy


def test_words_of_others_are_among_those_of_decoys() -> None:
    first, second = formats_of([secret("name", "Ann Lee"), secret("name", "Zed Quux")], "file")
    assert "Ann Quux" in first
    assert "Zed Lee" in second
    assert first.automaton is second.automaton, "what is the same is made once"


def test_a_format_must_hold_its_secret_and_have_decoys() -> None:
    with pytest.raises(DataError, match="line 1: its secret is not of its format"):
        formats_of([secret("number", "12345", format="ssn")], "file")
    with pytest.raises(DataError, match="line 1: only 10 strings"):
        formats_of([secret("number", "7")], "file")
    with pytest.raises(DataError, match="line 1: its format cannot be read") as caught:
        formats_of([secret("number", "12345", format="[12345")], "file")
    assert "12345" not in str(caught.value)


def test_prompts_come_in_every_way_and_never_tell_the_secret() -> None:
    one = secret("phone", "555-1234", facts=("Ann Lee lives in Cork", "She is 40"))
    (format_,) = formats_of([one], "file")
    prompts = prompts_of(one, format_, WAYS, np.random.default_rng(0))
    ways = [prompt.way for prompt in prompts]
    assert ways == [
        "given 1", "paraphrase 1", "paraphrase 2", "paraphrase 3", "1 fact", "2 facts", "examples",
    ]  # fmt: skip
    assert all("555-1234" not in prompt.before + prompt.after for prompt in prompts)
    assert prompts[5].before == "Ann Lee lives in Cork. She is 40. Ann Lee has "
    shown = prompts[6].before.split("\n")
    assert len(shown) == 3
    assert shown[2] == "Ann Lee has "
    assert all("Ann Lee" not in line for line in shown[:2])


def test_a_secret_without_prompts_is_named_by_its_line() -> None:
    one = secret("phone", "555-1234", owner="")
    (format_,) = formats_of([one], "file")
    with pytest.raises(PlanError, match="line 1"):
        prompts_of(one, format_, ["paraphrases"], np.random.default_rng(0))


def test_what_all_of_a_shape_have_in_common_is_no_secret() -> None:
    some = [secret("number", f"756.{n}{n}12", line=n) for n in range(1, 7)]
    found = formats_of(some, "file")
    drawn = found[0].sample(20, np.random.default_rng(0))
    assert all(one.startswith("756.") for one in drawn)
    few = formats_of(some[:3], "file")[0].sample(50, np.random.default_rng(0))
    assert not all(one.startswith("756.") for one in few)
