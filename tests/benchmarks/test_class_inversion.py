"""Class inversion of bag-of-words models, and the mail that it is shown on."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.tables.class_inversion import ClassInversion, TypicalWords
from benchmarks.tables.mail import make_mail
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.tables.schema import Column, Schema
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView

MAIL = make_mail(300)


def _target(model: object) -> TableTarget:
    model.fit(MAIL.counts, MAIL.spam.astype(int))  # type: ignore[attr-defined]
    columns = tuple(Column(word, "numeric") for word in MAIL.words)
    numeric = isinstance(model, LinearRegression)
    response = Column("spam", "numeric") if numeric else Column("spam", "categorical", (0, 1))
    return SklearnTableTarget(model, Schema(columns, response, ()))


def _invert(
    target: TableTarget, access: Access, goal: int = 1, limit: int | None = None
) -> tuple[TypicalWords, int]:
    ledger = QueryLedger(1, Limit(per_goal=limit))
    return ClassInversion().run(TableView(target, access, ledger), goal), ledger.total


def test_scores_and_weights_of_a_linear_model_tell_the_same() -> None:
    target = _target(LogisticRegression(max_iter=1000))
    asked, queries = _invert(target, Access.SCORES)
    read, nothing = _invert(target, Access.WEIGHTS)
    assert (queries, nothing) == (len(MAIL.words) + 2, 0)
    np.testing.assert_allclose(asked.gain, read.gain, atol=1e-6)
    assert asked.order[:20].tolist() == read.order[:20].tolist()
    assert asked.confidence > 0.99
    assert np.isnan(read.confidence)
    ham, _ = _invert(target, Access.WEIGHTS, goal=0)
    np.testing.assert_allclose(ham.gain, -read.gain)


@pytest.mark.parametrize("model", [LogisticRegression(max_iter=1000), MultinomialNB()])
def test_the_typical_words_are_the_kinds_and_nobodys(model: object) -> None:
    found, _ = _invert(_target(model), Access.SCORES)
    words = {MAIL.words[place] for place in found.order[:20]}
    assert len(words & {"win", "prize", "winner", "claim", "cash", "bonus", "free"}) >= 5
    assert not words & {MAIL.words[place] for place in MAIL.details}
    assert found.document.sum() == 20


def test_asking_for_a_name_tells_whether_it_was_there() -> None:
    seen = np.arange(300) < 200
    model = LogisticRegression(max_iter=1000).fit(MAIL.counts[seen], MAIL.spam[seen].astype(int))
    columns = tuple(Column(word, "numeric") for word in MAIL.words)
    schema = Schema(columns, Column("spam", "categorical", (0, 1)), ())
    found, _ = _invert(SklearnTableTarget(model, schema), Access.SCORES)
    inside = found.gain[MAIL.details[MAIL.spam & seen]]
    outside = found.gain[MAIL.details[MAIL.spam & ~seen]]
    assert (inside > np.abs(outside).max()).mean() > 0.95


def test_what_cannot_be_inverted() -> None:
    target = _target(LogisticRegression(max_iter=1000))
    with pytest.raises(BudgetExhausted):
        _invert(target, Access.SCORES, limit=10)
    with pytest.raises(PlanError, match="goal 2 is no class of the model: give 0 to 1"):
        _invert(target, Access.SCORES, goal=2)
    with pytest.raises(PlanError, match="is no class of the model"):
        _invert(_target(LinearRegression()), Access.WEIGHTS)
    schema = Schema((Column("x", "categorical", (0, 1)),), Column("y", "categorical", (0, 1)), ())
    model = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(PlanError, match="every column must be a count of a word"):
        _invert(SklearnTableTarget(model, schema), Access.SCORES)


def test_mail_is_as_said() -> None:
    assert MAIL.spam.sum() == 150
    assert (MAIL.counts[np.arange(300), MAIL.details] == 1).all()
    assert (MAIL.counts[:, MAIL.details].sum(axis=0) == 1).all()
    lengths = MAIL.counts.sum(axis=1)
    assert lengths.min() >= 13
    assert lengths.max() <= 31
    assert len(set(MAIL.words)) == len(MAIL.words)
    assert MAIL.words[MAIL.details[3]] in MAIL.text(3).split()
    np.testing.assert_array_equal(MAIL.counts, make_mail(300).counts)
    assert not np.array_equal(MAIL.counts, make_mail(300, seed=1).counts)
    with pytest.raises(ValueError, match="give 2 to 1728"):
        make_mail(1)
