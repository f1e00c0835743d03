"""Surprises, ranks and searches against plain ``transformers`` code on whole lines."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from benchmarks.verdict.oracles import whole_lines
from numpy.typing import NDArray
from tests.support.tiny_language import EDGES, KINDS, causal, make_tokenizer

from darkroom.access import LanguageAccess
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.frontier import Node, Search
from darkroom.text.exposure.measure import path_surprises
from darkroom.text.exposure.rank import TOLERANCE, ranks
from darkroom.text.formats.secrets import SecretFormat, make_format
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.targets.base import ServerCodec
from darkroom.text.targets.view import LanguageView

Floats = NDArray[np.float64]

PLACES = (
    ("the code of ann is ", r"\d{3}", "."),
    ("the code of ann is 1", r"\d{3}", "."),
    ('"pin": "', r"[0-1]\d{2}[4-8]", '", "of": "bob"'),
    ("the code of ann is  ", r"1?\d[3-7]", " and"),
    ("the code of bob is", r" \d{1,2}", ". then"),
    ("call 12", r"\d-\d{2}", "7."),
)
"""Texts before, formats and texts behind: tokens that begin or end within the secret, and both."""


@cache
def format_of(pattern: str) -> SecretFormat:
    return make_format(pattern)


@pytest.mark.medium
@pytest.mark.parametrize("kind", [*KINDS, *EDGES])
@pytest.mark.parametrize(("before", "pattern", "after"), PLACES)
def test_surprises_ranks_and_searches_are_those_of_whole_lines(
    kind: str, before: str, pattern: str, after: str
) -> None:
    secrets = format_of(pattern)
    every = [secrets.at(index) for index in range(secrets.size)]
    expected = whole_lines(make_tokenizer(kind), causal(kind).model, before, after, every)
    target = causal(kind)
    goal = SecretGoal(before, after, secrets)
    chosen = np.random.default_rng(0).integers(secrets.size, size=3)
    view = LanguageView(target, LanguageAccess.WEIGHTS, QueryLedger(len(chosen)))
    place = Places(view).of(goal)
    told = path_surprises(target, [place], [every])[0]
    # A token of the format that all secrets share, such as its first space, changes no order.
    np.testing.assert_allclose(told - told[0], expected - expected[0], atol=1e-8)
    found = ranks(
        view,
        [place] * len(chosen),
        told[chosen],
        rows=10**6,
        known=[place.encode([every[one]])[0] for one in chosen],
        batch=50,
    )
    for one, rank in zip(chosen, found, strict=True):
        assert rank == ((expected <= expected[one] + TOLERANCE).sum(),) * 2
    search = BestFirst(wanted=3, rows=10**6)
    view = LanguageView(target, LanguageAccess.WEIGHTS, QueryLedger(1))
    *_, last = search.run(view, [goal], rng=np.random.default_rng(0))
    order = np.argsort(expected, kind="stable")[:3]
    assert [guess.secret for guess in last.found[0].guesses] == [every[one] for one in order]
    assert last.found[0].certain


@pytest.mark.medium
def test_a_sweep_that_went_past_the_known_secret_says_so_and_follows_every_path() -> None:
    before, pattern, after = PLACES[1]
    secrets, target = format_of(pattern), causal("digits from the right")
    every = [secrets.at(index) for index in range(secrets.size)]
    view = LanguageView(target, LanguageAccess.WEIGHTS, QueryLedger(1))
    place = Places(view).of(SecretGoal(before, after, secrets))
    told = path_surprises(target, [place], [every])[0]
    words = target.codec.vocabulary
    place.prunes = True  # as if the tokenizer had been taken for one of the usual kind
    one = next(
        number
        for number, path in enumerate(place.encode(every))
        if not all(place.canonical([path[:1]], [words[path[0]] or b""], complete=False))
    )
    true = (told <= told[one] + TOLERANCE).sum()
    assert ranks(view, [place], told[[one]], rows=10**6)[0].low < true
    path = place.encode([every[one]])
    assert ranks(view, [place], told[[one]], rows=10**6, known=path)[0] == (true, true)
    nothing = ranks(view, [place], told[[one]] - 1.0, rows=10**6, known=path)[0]
    assert nothing == (1, secrets.size)


def test_a_token_that_only_a_server_knows_may_end_behind_the_secret() -> None:
    secrets = format_of(r"\d{3}")
    codec = ServerCodec()
    place = SecretTokens(secrets, codec, 'the "code": "', '", "of"', knows_tokens=False)
    search = Search(place, 1)
    words = {word: codec.number(word) for word in (b"12", b'3"', b'7",', b"8")}

    def told(**logprobs: float) -> NDArray[np.float64]:
        row = np.full(len(words), -np.inf)
        for word, logprob in logprobs.items():
            row[words[word.encode()]] = logprob
        return row

    start = place.spelling.automaton.start
    search.add(Node(0.0, start, -1, -1, -1, b""), told(**{"12": -0.1}), -20.0)
    node = search.pop(1)[0]
    search.add(node._replace(prefix=1), told(**{'7",': -0.2, '3"': -2.0, "8": -3.0}), -20.0)
    assert search.pop(1) == []
    assert search.result().certain
    assert [guess.secret for guess in search.found] == ["127"]
    assert place.secret(b'127",') == place.secret(b"127") == "127"
