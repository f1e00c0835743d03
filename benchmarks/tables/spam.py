"""What class inversion gets out of a spam filter, beside what it gets out of a face model."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.claims import Table
from benchmarks.tables.class_inversion import ClassInversion, TypicalWords
from benchmarks.tables.mail import Mail, make_mail
from darkroom.access import Access
from darkroom.ledger import QueryLedger
from darkroom.tables.schema import Column, Schema
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView


def spam_target(mail: Mail, model: Any) -> SklearnTableTarget:
    """Trains a model on two thirds of the messages and makes a target of it."""
    seen = len(mail.spam) * 2 // 3
    model.fit(mail.counts[:seen], mail.spam[:seen].astype(int))
    columns = tuple(Column(word, "numeric") for word in mail.words)
    return SklearnTableTarget(model, Schema(columns, Column("spam", "categorical", (0, 1)), ()))


def invert_spam(target: SklearnTableTarget, access: Access) -> tuple[TypicalWords, int]:
    """Inverts the class spam; returns the words and the queries."""
    ledger = QueryLedger(1)
    return ClassInversion().run(TableView(target, access, ledger), goal=1), ledger.total


def spam_table(seed: int) -> Table:
    """Measures what the inverted class says of the kind of message, and of single messages."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB

    mail = make_mail(seed=seed)
    seen = np.arange(len(mail.spam)) < len(mail.spam) * 2 // 3
    rows: list[list[object]] = []
    for model, access in (
        (LogisticRegression(C=10, max_iter=1000), Access.SCORES),
        (LogisticRegression(C=10, max_iter=1000), Access.WEIGHTS),
        (MultinomialNB(), Access.SCORES),
    ):
        target = spam_target(mail, model)
        found, queries = invert_spam(target, access)
        right = target.predict(mail.counts[~seen]) == mail.spam[~seen]
        rows.append([target.name, str(access), queries, float(right.mean()), *_said(mail, found)])
    columns = (
        *("model", "access", "queries", "accuracy"),
        *("typical of 20", "details of 20", "details ranked, AUC", "most like one message"),
    )
    return Table("Spam filter, the class spam inverted", columns, rows)


def _said(mail: Mail, found: TypicalWords) -> list[float]:
    """Returns what the 20 words say of the kind, and what they say of single messages.

    The shares of the 20 that are of the kind's 30 most telling words, and that are details of one
    message; how often a detail of spam that the model saw is ranked above one that it did not see;
    and the cosine of the document with the seen message that it is most like.
    """
    seen = np.arange(len(mail.spam)) < len(mail.spam) * 2 // 3
    spam, honest = mail.counts[mail.spam & seen], mail.counts[~mail.spam & seen]
    telling = np.log((spam.sum(axis=0) + 1) / (honest.sum(axis=0) + 1))
    top = set(found.order[:20].tolist())
    usual = set(np.argsort(-telling)[:30].tolist())
    inside = found.gain[mail.details[mail.spam & seen]]
    outside = found.gain[mail.details[mail.spam & ~seen]]
    above = (inside[:, None] > outside).mean() + 0.5 * (inside[:, None] == outside).mean()
    length = np.linalg.norm(spam, axis=1) * np.linalg.norm(found.document)
    return [
        len(top & usual) / 20,
        len(top & set(mail.details.tolist())) / 20,
        float(above),
        float((spam @ found.document / length).max()),
    ]
