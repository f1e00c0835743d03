"""Every attack on secrets keeps its promises, on models that know some by heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from darkroom.access import LanguageAccess
from darkroom.defenses.logprobs import LogprobDefense, LogprobNoise, LogprobRounding, TopLogprobs
from darkroom.errors import PlanError, TargetError
from darkroom.ledger import QueryLedger
from darkroom.named import describe
from darkroom.testing.text.attacks import PROMISES, Trial, check_attack
from darkroom.testing.text.small import memoriser
from darkroom.testing.text.targets import check_target
from darkroom.text.attacks.averaging import Averaging
from darkroom.text.attacks.base import SecretAttack, SecretGoal, SecretProgress
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.fill_mask import FillMask
from darkroom.text.attacks.registry import SECRET_ATTACKS
from darkroom.text.attacks.sampling import SamplingAttack, read_secret, split_prompt
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.base import Charge, Floats
from darkroom.text.targets.view import LanguageView

pytestmark = pytest.mark.medium

LEADS = ("", "Note: ", "Re: ", "As said, ", "Reminder: ")


CASES = {
    "best-first": Trial(BestFirst(rows=200), LanguageAccess.WEIGHTS),
    "best-first on masks": Trial(BestFirst(rows=200), LanguageAccess.WEIGHTS, fills=True),
    "best-first behind top-k": Trial(
        BestFirst(rows=200), LanguageAccess.TOP_K, defense=TopLogprobs(5)
    ),
    "best-first behind rounding": Trial(
        BestFirst(rows=200), LanguageAccess.LOGPROBS, defense=LogprobRounding(0.5)
    ),
    "fill-mask": Trial(FillMask(rows=200), LanguageAccess.LOGPROBS, fills=True),
    "averaging behind noise": Trial(
        Averaging(rows=300, candidates=16), LanguageAccess.LOGPROBS, defense=LogprobNoise(0.4)
    ),
    "averaging behind rounding": Trial(
        Averaging(rows=300, candidates=16),
        LanguageAccess.LOGPROBS,
        defense=LogprobRounding(0.5),
    ),
    "sampling": Trial(SamplingAttack(rows=40), LanguageAccess.SAMPLES),
}


@pytest.fixture(
    params=[
        pytest.param(one, marks=pytest.mark.slow if one == "best-first on masks" else ())
        for one in CASES
    ]
)
def case(request: pytest.FixtureRequest) -> Trial:
    return CASES[request.param]


def test_the_table_has_every_attack() -> None:
    assert {case.attack.name for case in CASES.values()} == set(SECRET_ATTACKS.own)


@pytest.mark.parametrize("promise", PROMISES)
def test_every_attack_keeps_every_promise(case: Trial, promise: Callable[[Trial], None]) -> None:
    promise(case)


@pytest.mark.parametrize("attack", [SamplingAttack(rows=40)], ids=describe)
def test_the_check_that_others_run_passes(attack: SecretAttack) -> None:
    check_attack(attack)


@pytest.mark.parametrize(
    ("target", "fills"), [("continues", False), ("fills", True)], ids=["continues", "fills"]
)
def test_models_pass_the_check_of_targets(target: str, fills: bool) -> None:
    check_target(memoriser(fills=fills).target)


@pytest.mark.medium
def test_a_model_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PlanError, match="not for a model that fills masks"):
        Trial(SamplingAttack(), LanguageAccess.SAMPLES, fills=True).run()
    with pytest.raises(PlanError, match="not for a model that continues text"):
        Trial(FillMask(), LanguageAccess.LOGPROBS).run()


@pytest.mark.slow
def test_an_averaged_answer_is_called_certain_only_for_a_whole_format() -> None:
    known = memoriser()
    canary = known.canaries.inserted[0]
    # Fifty candidates, the secret among them.
    digits = "[0-4]" if canary.secret[-1] < "5" else "[5-9]"
    secrets = make_format(rf"{canary.secret[:-2]}\d{digits}")
    goal = SecretGoal(canary.before, canary.after, secrets)
    for candidates, certain in ((50, True), (10, False)):
        view = LanguageView(
            known.target, LanguageAccess.LOGPROBS, QueryLedger(1), defense=LogprobNoise(0.4)
        )
        attack = Averaging(candidates=candidates, rows=5000)
        *_, last = attack.run(view, [goal], rng=np.random.default_rng(0))
        assert last.found[0].guesses[0].secret == canary.secret
        assert last.found[0].certain == certain


@pytest.mark.parametrize(
    ("text", "end", "found"),
    [
        (" 12.", "", "12"),
        ("12 and", "", "12"),
        (" 123", ".", None),
        (" 123.", ".", "123"),
        (" 1x", "", None),
        ("", "", None),
        (" 12345", "", "123"),
    ],
)
def test_reading_a_secret_from_text(text: str, end: str, found: str | None) -> None:
    goal = SecretGoal("the code is ", end, make_format(r"\d{2,3}"))
    assert read_secret(text, goal._replace(after=end)) == found


def test_a_prompt_ends_at_a_word() -> None:
    assert split_prompt("code is  ") == ("code is", "  ")
    assert split_prompt("   ") == ("   ", "")


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("best-firts", {}, "did you mean 'best-first'"),
        ("sampling", {"row": 3}, "did you mean 'rows'"),
        ("sampling", {"rows": 0}, "1 or more"),
        ("sampling", {"temperature": "hot"}, "valid number"),
        ("averaging", {"confidence": 2.0}, "between 0 and 1"),
        ("fill-mask", {"batch": 0}, "1 or more"),
    ],
)
def test_words_that_make_no_attack(name: str, parameters: dict[str, object], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        SECRET_ATTACKS.make(name, parameters)


def test_a_view_that_allows_less_answers_less() -> None:
    view = LanguageView(memoriser().target, LanguageAccess.SAMPLES, QueryLedger(1))
    with pytest.raises(TargetError, match="allows samples"):
        view.trie()
    with pytest.raises(TargetError, match="allows samples"):
        view.surprises(["x"], ["1234"], np.array([0]))
    assert view.ledger.total == 0


def test_a_question_is_asked_in_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    known = memoriser()
    asked: list[str] = []
    score = known.target.score

    def spy(prompts: Sequence[str], endings: Sequence[str], charge: Charge) -> list[Floats]:
        asked.extend(prompts)
        return score(prompts, endings, charge)

    monkeypatch.setattr(known.target, "score", spy)
    goal = SecretGoal("The access code of Ann is ", ".", make_format(r"1\d"))
    view = LanguageView(known.target, LanguageAccess.LOGPROBS, QueryLedger(1))
    attack = Averaging(leads=LEADS, rows=100)
    *_, last = attack.run(view, [goal], rng=np.random.default_rng(0))
    assert {prompt.removesuffix(goal.before) for prompt in asked} >= set(LEADS[:2])
    assert last.queries[0] == len(asked) <= 100


def _tried(attack: SecretAttack, *, told: bool, defense: LogprobDefense) -> SecretProgress:
    known = memoriser()
    canaries = known.canaries
    goals = [SecretGoal(one.before, one.after, one.format) for one in canaries.inserted]
    view = LanguageView(
        known.target,
        LanguageAccess.LOGPROBS,
        QueryLedger(len(goals)),
        defense=defense,
        noise=np.random.default_rng(1),
        told=told,
    )
    *_, last = attack.run(view, goals, rng=np.random.default_rng(0))
    assert (last.queries == view.ledger.spent).all()
    return last


def _share(last: SecretProgress) -> float:
    inserted = memoriser().canaries.inserted
    hits = [
        bool(found.guesses) and found.guesses[0].secret == one.secret
        for found, one in zip(last.found, inserted, strict=True)
    ]
    return float(np.mean(hits))


def test_fresh_noise_is_averaged_by_who_knows_of_it() -> None:
    noise, attack = LogprobNoise(4.0), BestFirst(rows=1000, repeats=20)
    naive, adaptive = (_tried(attack, told=told, defense=noise) for told in (False, True))
    assert _share(adaptive) > _share(naive)
    assert not any(found.certain for found in adaptive.found)
    assert (adaptive.queries % 20 == 0).all()
    assert (adaptive.queries <= 1000).all()


@pytest.mark.medium
def test_who_is_not_told_takes_hidden_tokens_for_impossible() -> None:
    naive, adaptive = (
        _tried(BestFirst(rows=200), told=told, defense=TopLogprobs(1)) for told in (False, True)
    )
    # One token a step is one secret at most: the naive is sure of it, the other knows better.
    assert all(found.certain for found in naive.found if found.guesses)
    assert not any(found.certain for found in adaptive.found)
