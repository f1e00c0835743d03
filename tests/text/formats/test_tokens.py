from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.tiny_language import KINDS, causal, make_tokenizer, masked

from darkroom.access import LanguageAccess
from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places, SecretGoal
from darkroom.text.exposure.measure import _along, path_surprises
from darkroom.text.formats.boundaries import probes
from darkroom.text.formats.filling import FillTokens
from darkroom.text.formats.secrets import make_format
from darkroom.text.formats.spelling import Spelling
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.view import LanguageView

BEFORES = ("the code of ann is ", "the code of bob is 01", "code:", "x")
PATTERNS = (r"\d{3}", r"[ab]?\d{2}-\d", r"(12|123|1234)(34|4)?", r"\d{2} \d{2}")


@pytest.mark.medium
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "pattern"), list(itertools.product(BEFORES, PATTERNS)))
@pytest.mark.parametrize("fills", [False, True])
def test_the_canonical_tokens_of_every_secret_can_follow(
    kind: str, before: str, pattern: str, fills: bool
) -> None:
    """Every secret's own tokens are a way through the format, spell it, and are canonical."""
    secrets = make_format(pattern)
    every = [secrets.at(index) for index in range(min(secrets.size, 400))]
    spot: SecretTokens
    if fills:
        spot = FillTokens(secrets, masked(kind).codec, before, ". then")
    else:
        spot = SecretTokens(secrets, causal(kind).codec, before, ".")
    codec = (masked(kind) if fills else causal(kind)).codec
    after = ". then" if fills else "."
    for secret, path in zip(every, spot.encode(every), strict=True):
        assert spot.spell(path) == secret
        whole = codec.encode([before + secret + after])[0]
        said = whole.opening + whole.tokens + whole.closing
        assert all(token in said for token in path)
    paths = spot.encode(every[:20])
    spelled = [spot.tail + secret.encode() + spot.head for secret in every[:20]]
    assert all(spot.canonical(paths, spelled, complete=True))


def test_a_token_may_begin_in_the_prompt_and_end_behind_the_secret() -> None:
    """Byte pairs join the space before a number to it; the prompt must not end in that space."""
    spot = SecretTokens(make_format(r"\d{4}"), causal("byte pairs").codec, "the code of ann is ")
    assert spot.tail
    assert spot.ambiguous
    words = causal("byte pairs").codec.vocabulary
    joined = [words[path[0]] for path in spot.encode(["0008", "0145"])]
    assert all(word is not None and word.startswith(spot.tail) for word in joined)


def cut(spelling: Spelling, text: bytes, most: int) -> list[tuple[int, ...]]:
    """Returns the ways to cut a text that the automaton accepts into tokens, at most so many."""
    found: list[tuple[int, ...]] = []
    pending: list[tuple[int, int, tuple[int, ...]]] = [(spelling.automaton.start, 0, ())]
    while pending and len(found) < most:
        state, place, tokens = pending.pop()
        if place == len(text) and spelling.automaton.accepting[state]:
            found.append(tokens)
        children = spelling.children(state)
        for token, to, spelled in zip(*children, strict=True):
            if text.startswith(spelled, place):
                pending.append((int(to), place + len(spelled), (*tokens, int(token))))
    return found


def test_one_way_for_each_secret_needs_no_checks() -> None:
    spot = SecretTokens(make_format(r"\d{3}"), causal("characters").codec, "code ")
    assert not spot.ambiguous


def test_another_way_to_cut_a_secret_is_not_canonical() -> None:
    spot = SecretTokens(make_format(r"\d{4}"), causal("byte pairs").codec, "the code of ann is ")
    secret = "0145"
    text = spot.tail + secret.encode()
    ways = cut(spot.spelling, text, 1000)
    assert len(ways) > 1
    assert sum(spot.canonical(ways, [text] * len(ways), complete=True)) == 1


def summed_surprises(
    target: LanguageTarget, spot: SecretTokens, secrets: Sequence[str]
) -> NDArray[np.float64]:
    """Returns the surprise of secrets whichever way they are cut into tokens, in bits."""
    paths, owners = [], []
    for owner, secret in enumerate(secrets):
        text = spot.tail + secret.encode() + spot.head
        canonical = spot.encode([secret])[0]
        ways = dict.fromkeys([canonical, *cut(spot.spelling, text, 256)])
        paths += list(ways)
        owners += [owner] * len(ways)
    totals = _along(target, [spot.beginning(path) for path in paths], paths)
    owned = np.array(owners)
    return np.array(
        [-np.logaddexp2.reduce(-totals[owned == owner]) for owner in range(len(secrets))]
    )


def test_the_sum_over_all_ways_is_likelier_than_any_one() -> None:
    target = causal("byte pairs")
    view = LanguageView(target, LanguageAccess.WEIGHTS, QueryLedger(1))
    spot = Places(view).of(SecretGoal("the code of ann is ", "", make_format(r"\d{3}")))
    secrets = ["014", "777"]
    canonical = path_surprises(target, [spot], [secrets])[0]
    summed = summed_surprises(target, spot, secrets)
    assert (summed <= canonical + 1e-9).all()
    assert (summed < canonical).any()
    one_way = Places(LanguageView(causal("characters"), view.access, QueryLedger(1))).of(
        SecretGoal("code ", "", make_format(r"\d{3}"))
    )
    np.testing.assert_allclose(
        summed_surprises(causal("characters"), one_way, secrets),
        path_surprises(causal("characters"), [one_way], [secrets])[0],
    )


def test_a_tokenizer_that_changes_the_text_is_refused() -> None:
    with pytest.raises(TargetError, match="cannot spell"):
        FillTokens(make_format(r"[A-F]{3}"), masked("word pieces").codec, "code ", ".")


def test_the_first_letters_are_all_tried() -> None:
    tried = probes(make_format(r"[a-z]\d{6}"))
    assert {secret[0] for secret in tried} == set("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("kind", KINDS)
def test_places_of_tokens_are_those_of_their_bytes(kind: str) -> None:
    codec = causal(kind).codec
    text = "the code of ann is 0145a."
    one = codec.encode([text])[0]
    assert one.ends[-1] == len(text)
    assert list(one.starts) == sorted(one.starts)
    for token, start, end in zip(one.tokens, one.starts, one.ends, strict=True):
        word = codec.vocabulary[token]
        assert word is not None
        assert text.encode()[max(start, 0) : end].strip() == word.strip()


def test_the_tokenizer_given_is_left_as_it_was() -> None:
    tokenizer = make_tokenizer("byte pairs")
    backend = tokenizer.backend_tokenizer
    assert isinstance(causal("byte pairs").codec.identity, str)
    assert backend.to_str() == make_tokenizer("byte pairs").backend_tokenizer.to_str()
