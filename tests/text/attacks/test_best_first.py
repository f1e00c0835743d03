"""Best-first search and ranks against brute force, on models and tokenizers of every kind."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.examples import few
from tests.support.tiny_language import KINDS, causal, masked

from darkroom.access import LanguageAccess
from darkroom.defenses.logprobs import TopLogprobs
from darkroom.errors import PlanError
from darkroom.ledger import Limit, QueryLedger
from darkroom.text.attacks.base import Found, Places, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.exposure.rank import TOLERANCE, ranks
from darkroom.text.formats.filling import FillTokens
from darkroom.text.formats.secrets import SecretFormat, make_format
from darkroom.text.targets.base import free
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.targets.view import LanguageView

BEFORES = ["the code of ann is ", "the code of bob is 0", "code:", "the code is"]
PATTERNS = [r"\d{3}", r"[0-3]{2}-[ab]", r"\d{1,2}[a-c]?", r"(12|1234|3)(4|45)?", r"ab?c@(a|b)"]


@cache
def format_of(pattern: str) -> SecretFormat:
    return make_format(pattern)


def view_of(target: TransformersTarget, goals: int = 1, limit: Limit | None = None) -> LanguageView:
    return LanguageView(target, LanguageAccess.WEIGHTS, QueryLedger(goals, limit))


@cache
def brute_force(target: TransformersTarget, goal: SecretGoal) -> NDArray[np.float64]:
    """The surprise in bits of every secret, scored one by one without the search."""
    secrets = [goal.secrets.at(index) for index in range(goal.secrets.size)]
    if not target.masked:
        endings = [secret + goal.end for secret in secrets]
        # From the first token that depends on the secret, which may begin in the prompt.
        whole = target.codec.encode([goal.before + ending for ending in endings])
        rows = [one.opening + one.tokens for one in whole]
        shared = next(
            i
            for i in range(min(map(len, rows)) + 1)
            if i == min(map(len, rows)) or len({row[i] for row in rows}) > 1
        )
        edge = len(goal.before.encode())
        within = min(sum(end <= edge for end in one.ends) + len(one.opening) for one in whole)
        first = min(shared, within)
        scores = target.score_tokens([r[:first] for r in rows], [r[first:] for r in rows], free())
        return np.array([-score.sum() / math.log(2) for score in scores])
    place = Places(view_of(target)).of(goal)
    assert isinstance(place, FillTokens)
    paths = place.encode(secrets)
    surprises = np.zeros(len(paths))
    for length in {len(path) for path in paths}:
        chosen = [row for row, path in enumerate(paths) if len(path) == length]
        tokens = np.array([paths[row] for row in chosen])
        trie = target.trie()
        numbers, answers = trie.open([place.blank(paths[row]) for row in chosen], free())
        for step in range(length):
            told = answers.logprobs[np.arange(len(chosen)), tokens[:, step]]
            surprises[chosen] -= told / math.log(2)
            if step + 1 < length:
                numbers, answers = trie.extend(numbers, tokens[:, step], free())
    return surprises


DRAWN = given(
    kind=st.sampled_from(KINDS),
    before=st.sampled_from(BEFORES),
    pattern=st.sampled_from(PATTERNS),
    seed=st.integers(0, 2),
    choice=st.integers(0, 10**6),
    fills=st.booleans(),
)


@pytest.mark.medium
@few
@DRAWN
def test_the_rank_and_the_order_equal_brute_force(
    kind: str, before: str, pattern: str, seed: int, choice: int, fills: bool
) -> None:
    check_against_brute_force(kind, before, pattern, seed, choice, fills)


@pytest.mark.slow
@DRAWN
def test_the_rank_and_the_order_equal_brute_force_often(
    kind: str, before: str, pattern: str, seed: int, choice: int, fills: bool
) -> None:
    check_against_brute_force(kind, before, pattern, seed, choice, fills)


def check_against_brute_force(
    kind: str, before: str, pattern: str, seed: int, choice: int, fills: bool
) -> None:
    target = masked(kind, seed=seed) if fills else causal(kind, seed=seed)
    goal = SecretGoal(before, ". then", format_of(pattern))
    expected = brute_force(target, goal)
    secret = choice % goal.secrets.size
    view = view_of(target)
    place = Places(view).of(goal)
    rank = ranks(view, [place], expected[[secret]], rows=10**6)[0]
    assert rank.exact
    assert rank.low == (expected <= expected[secret] + TOLERANCE).sum()
    wanted = min(7, goal.secrets.size)
    attack = BestFirst(wanted=wanted, rows=10**6, batch=1 + choice % 9)
    *_, last = attack.run(view_of(target), [goal], rng=np.random.default_rng(0))
    found = last.found[0]
    assert found.certain
    order = np.argsort(expected, kind="stable")[:wanted]
    assert [guess.secret for guess in found.guesses] == [goal.secrets.at(int(i)) for i in order]
    np.testing.assert_allclose(
        [guess.surprise for guess in found.guesses], expected[order], atol=1e-9
    )
    assert found.floor >= found.guesses[-1].surprise


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["characters", "byte pairs", "word pieces"])
@pytest.mark.parametrize("fills", [False, True])
def test_the_rank_equals_brute_force_for_a_hundred_thousand(kind: str, fills: bool) -> None:
    target = masked(kind) if fills else causal(kind)
    digits = 3 if fills else 5
    goal = SecretGoal("the code of ann is ", ".", format_of(rf"\d{{{digits}}}"))
    expected = brute_force(target, goal)
    view = view_of(target, 4)
    place = Places(view).of(goal)
    known = np.random.default_rng(0).integers(len(expected), size=4)
    for secret, rank in zip(
        known, ranks(view, [place] * 4, expected[known], rows=10**6), strict=True
    ):
        assert rank == ((expected <= expected[secret] + TOLERANCE).sum(),) * 2


def test_with_and_without_kept_keys_and_values() -> None:
    goal = SecretGoal("the code of ann is ", "", format_of(r"\d{3}"))
    answers = []
    for cached in (True, False):
        view = view_of(causal("byte pairs", cached=cached))
        *_, last = BestFirst(wanted=5, rows=10**6).run(view, [goal], rng=np.random.default_rng(0))
        answers.append((last.queries.tolist(), last.found[0]))
    assert answers[0][0] == answers[1][0]
    for one, other in zip(answers[0][1].guesses, answers[1][1].guesses, strict=True):
        assert one.secret == other.secret
        assert one.surprise == pytest.approx(other.surprise, abs=1e-9)


def test_goals_together_and_alone() -> None:
    goals = [SecretGoal(before, ".", format_of(r"\d{3}")) for before in BEFORES]
    attack = BestFirst(wanted=2, rows=60, batch=4)
    *_, together = attack.run(view_of(causal("byte pairs"), 4), goals, rng=np.random.default_rng(0))
    for position, goal in enumerate(goals):
        view = view_of(causal("byte pairs"))
        *_, alone = attack.run(view, [goal], rng=np.random.default_rng(0))
        assert together.queries[position] == alone.queries[0]
        same_answer(together.found[position], alone.found[0])


def same_answer(one: Found, other: Found) -> None:
    assert [guess.secret for guess in one.guesses] == [guess.secret for guess in other.guesses]
    assert one.certain == other.certain
    assert one.floor == pytest.approx(other.floor, abs=1e-9)


@pytest.mark.medium
@pytest.mark.parametrize("fills", [False, True])
@pytest.mark.parametrize("rows", [1, 17])
@pytest.mark.parametrize("limit", ["own", "goal", "total"])
def test_a_search_that_is_stopped_keeps_its_bounds(rows: int, limit: str, fills: bool) -> None:
    target = masked("byte pairs") if fills else causal("byte pairs")
    goals = [SecretGoal(before, ".", format_of(r"\d{3}")) for before in BEFORES[:2]]
    bound = {"goal": Limit(per_goal=rows), "total": Limit(total=rows)}.get(limit)
    attack = BestFirst(wanted=1000, rows=rows if limit == "own" else 10**6, batch=4)
    view = view_of(target, 2, bound)
    *_, last = attack.run(view, goals, rng=np.random.default_rng(0))
    assert last.queries.tolist() == view.ledger.spent.tolist()
    assert last.queries.max() <= rows
    for goal, found in zip(goals, last.found, strict=True):
        expected = brute_force(target, goal)
        names = [goal.secrets.at(index) for index in range(goal.secrets.size)]
        told = {guess.secret for guess in found.guesses}
        others = [s for name, s in zip(names, expected, strict=True) if name not in told]
        assert min(others) >= found.floor - 1e-9
        known = expected[[3, 500]]
        view = view_of(target, 2, bound)
        place = Places(view).of(goal)
        bounds = ranks(view, [place] * 2, known, rows=rows if limit == "own" else 10**6)
        for surprise, rank in zip(known, bounds, strict=True):
            assert rank.low <= (expected <= surprise + TOLERANCE).sum() <= rank.high
        assert view.ledger.spent.max() <= rows


@pytest.mark.medium
def test_hidden_tokens_are_bounded() -> None:
    goal = SecretGoal("the code of ann is ", "", format_of(r"\d{3}"))
    target = causal("characters")
    expected = np.sort(brute_force(target, goal))
    certain = []
    for k in (1, 3, 20, 250, 256):
        ledger = QueryLedger(1)
        view = LanguageView(target, LanguageAccess.TOP_K, ledger, defense=TopLogprobs(k))
        *_, last = BestFirst(wanted=1, rows=10**6).run(view, [goal], rng=np.random.default_rng(0))
        found = last.found[0]
        certain.append(found.certain)
        if found.certain:
            assert found.guesses[0].surprise == pytest.approx(expected[0])
        assert found.guesses or found.floor <= expected[0] + 1e-9
        rank = ranks(view, [Places(view).of(goal)], expected[[50]], rows=10**6)[0]
        assert rank.low <= 51 <= rank.high
    assert not certain[0]
    assert certain[-1]


@pytest.mark.parametrize("field", ["wanted", "rows", "batch"])
def test_looking_for_nothing_is_refused(field: str) -> None:
    with pytest.raises(PlanError, match="1 or more"):
        BestFirst(**{field: 0})


def test_no_goals_are_refused() -> None:
    with pytest.raises(PlanError, match="at least one"):
        BestFirst().run(view_of(causal("characters")), [], rng=np.random.default_rng(0))


def test_too_little_access_is_refused() -> None:
    view = LanguageView(causal("characters"), LanguageAccess.SAMPLES, QueryLedger(1))
    goal = SecretGoal("x ", "", format_of(r"\d{3}"))
    with pytest.raises(PlanError, match="needs top_k but the view allows samples"):
        BestFirst().run(view, [goal], rng=np.random.default_rng(0))
