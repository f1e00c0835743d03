"""Checks of a subject: what is set up wrongly is told with its cause, what is sound is not accused.

Every case is one of a table of people whose dose follows age and weight, and a little a gene.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from darkroom.auditing.record import Check
from darkroom.tables.checks.answers import check_answers, check_use
from darkroom.tables.checks.fitting import Again
from darkroom.tables.checks.given_away import check_given_away
from darkroom.tables.checks.knowledge import check_knowledge
from darkroom.tables.checks.shared_rows import check_others, check_public
from darkroom.tables.columns import schema_of
from darkroom.tables.data import TableData, encode_table
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.load import as_table_target

MEMBERS, OTHERS, PUBLIC = 120, 60, 150
INPUTS = ["age", "weight", "visits", "gene"]


def people(seed: int = 0, n: int = MEMBERS + OTHERS + PUBLIC) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(20, 80, n).round(1),
            "weight": rng.normal(70, 12, n).round(1),
            "visits": rng.integers(0, 12, n),
            "gene": rng.choice(["AA", "AG", "GG"], n),
        }
    )
    return frame.assign(
        dose=frame["age"] * 0.4 - frame["weight"] * 0.2 + 4 * (frame["gene"] == "GG")
        + frame["visits"] + rng.normal(0, 2, n)
    )  # fmt: skip


def ill(seed: int = 0) -> pd.DataFrame:
    frame = people(seed)
    return frame.assign(dose=np.where(frame["dose"] > frame["dose"].median(), "high", "low"))


def subject_of(
    model: Any, frame: pd.DataFrame, public: pd.DataFrame | None = None, **options: Any
) -> TableSubject:
    """Joins a model with its rows; ``public`` replaces the last of them."""
    private = frame[: MEMBERS + OTHERS]
    public = frame[MEMBERS + OTHERS :] if public is None else public
    everything = pd.concat([private, public], ignore_index=True)
    options = {"sensitive": ["gene"], **options}
    outputs = options.pop("outputs", "predictions")
    schema = schema_of(everything, "dose", **options)
    target = as_table_target(model, schema, outputs, untrained=False)
    members, others = private[:MEMBERS], private[MEMBERS:]
    parts = [encode_table(part, schema) for part in (members, others, public)]
    return TableSubject.of(target, TableData(schema, *parts))


def fitted(model: Any, frame: pd.DataFrame, **changes: Callable[[Any], Any]) -> Any:
    """Fits a model to members, after changes to some of their columns."""
    members = frame[:MEMBERS].assign(
        **{name: change(frame[name][:MEMBERS]) for name, change in changes.items()}
    )
    coded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["gene"]),
        remainder="passthrough",
    )
    return make_pipeline(coded, model).fit(members[INPUTS], members["dose"])


def used(subject: TableSubject) -> Check:
    return check_use(subject, Again.of(subject.target, subject.data.members).model)


def knowledge(subject: TableSubject) -> Check:
    return check_knowledge(subject, lambda done, of: None)


# ---------------------------------------------------------------- does it know its rows


SOUND = (LinearRegression(), Ridge(1e5), DecisionTreeRegressor(random_state=0))
SOUND_CLASSES = (
    DecisionTreeClassifier(random_state=0),
    DecisionTreeClassifier(max_depth=1),
    RandomForestClassifier(10, min_samples_leaf=10, random_state=0),
    LogisticRegression(C=1e-6),
    GaussianNB(),
)


@pytest.mark.medium
@pytest.mark.parametrize("noise", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("wrapped", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_sound_model_is_never_accused(noise: bool, wrapped: bool) -> None:
    rng = np.random.default_rng(3)
    for frame, models in ((people(), SOUND), (ill(), SOUND_CLASSES)):
        if noise:
            frame = frame.assign(dose=rng.permutation(frame["dose"].to_numpy()))
        for model in models:
            known = fitted(model, frame)
            asked = (lambda table, known=known: known.predict(table)) if wrapped else known
            found = knowledge(subject_of(asked, frame))
            assert found.outcome in ("passed", "noted"), (model, found)


@pytest.mark.medium
def test_a_sound_model_that_was_fitted_before_is_not_accused() -> None:
    known = FrozenEstimator(fitted(DecisionTreeClassifier(max_depth=2, random_state=0), ill()))
    assert knowledge(subject_of(known, ill())).outcome == "passed"


@pytest.mark.parametrize("seed", range(3))
def test_one_that_is_worse_than_the_commonest_class_is_not_accused(seed: int) -> None:
    """A model that weighs rare classes more, of rows that say nothing about them."""
    rng = np.random.default_rng(seed)
    frame = people(seed)
    frame = frame.assign(dose=np.where(rng.random(len(frame)) < 0.15, "high", "low"))
    known = fitted(LogisticRegression(C=1e-3, class_weight="balanced"), frame)
    found = knowledge(subject_of(known, frame, outputs="scores"))
    assert found.outcome == "passed", found


def _scaled(frame: pd.DataFrame) -> Any:
    """A model whose numbers are scaled before they come to it."""
    scale = StandardScaler().fit(frame[:MEMBERS][["age", "weight", "visits"]])
    members = frame[:MEMBERS].copy()
    members[["age", "weight", "visits"]] = scale.transform(members[["age", "weight", "visits"]])
    return fitted(LinearRegression(), members)


def _on_codes(frame: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    """A model that was fitted to arrays, and the same table with its columns the other way."""
    coded = frame.assign(gene=frame["gene"].map({"AA": 0, "AG": 1, "GG": 2}))
    model = LinearRegression().fit(coded[:MEMBERS][INPUTS].to_numpy(), coded["dose"][:MEMBERS])
    return model, coded[["weight", "age", "visits", "gene", "dose"]]


def _by_text(frame: pd.DataFrame) -> Any:
    """A function that knows codes as text, as it was written for them."""
    weights = {"AA": 0.0, "AG": 9.0, "GG": -30.0}
    by_text = {str(place): weights[name] for place, name in enumerate(weights)}
    del frame
    return lambda table: np.array([by_text.get(code, 55.0) for code in table["gene"]])


def _backwards(frame: pd.DataFrame) -> Any:
    """A function that gives scores in another order than that of sorted classes."""
    known = fitted(LogisticRegression(max_iter=2000), frame)
    return lambda table: known.predict_proba(table)[:, ::-1]


def graded() -> pd.DataFrame:
    """People of three grades, which the rows say nothing about, many of them the same."""
    rng = np.random.default_rng(5)
    frame = people().assign(weight=70.0, visits=0)
    return frame.assign(
        age=rng.integers(20, 60, len(frame)),
        dose=rng.choice(["high", "low", "middle"], len(frame)),
    )


class Moved(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns as another does, and names each class by the next one."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, table: Any, truth: Any) -> Moved:
        self.fitted_ = self.model.fit(table, truth)
        self.classes_ = self.fitted_.classes_
        self.feature_names_in_ = np.array(INPUTS)
        return self

    def predict_proba(self, table: Any) -> Any:
        return np.roll(self.fitted_.predict_proba(table), 1, axis=1)

    def predict(self, table: Any) -> Any:
        return self.classes_[self.predict_proba(table).argmax(axis=1)]


class Opposite(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Learns as another does, and says the opposite."""

    def fit(self, table: Any, truth: Any) -> Opposite:
        self.fitted_ = fitted(LinearRegression(), table.assign(dose=truth))
        self.feature_names_in_ = np.array(INPUTS)
        return self

    def predict(self, table: Any) -> Any:
        return -self.fitted_.predict(table)


def _heart(frame: pd.DataFrame) -> Any:
    return fitted(ExtraTreesClassifier(20, random_state=0), frame)


def _moved(frame: pd.DataFrame, *, frozen: bool) -> Any:
    known = FrozenEstimator(_heart(frame)) if frozen else _heart(frame)
    return Moved(known).fit(frame[:MEMBERS][INPUTS], frame["dose"][:MEMBERS])


MISUSES: dict[str, tuple[str, Callable[[], TableSubject]]] = {
    "numbers scaled by a data loader": (
        "scaling",
        lambda: subject_of(_scaled(people()), people()),
    ),
    "ages in months": (
        "scaling",
        lambda: subject_of(
            fitted(LinearRegression(), people()), people().assign(age=people()["age"] * 12)
        ),
    ),
    "columns in another order": ("column order", lambda: subject_of(*_on_codes(people()))),
    "doses of other people": (
        "unknown",
        lambda: subject_of(
            fitted(DecisionTreeRegressor(random_state=0), people()),
            people().assign(dose=people(9)["dose"]),
        ),
    ),
    "doses of the next row": (
        "row order",
        lambda: subject_of(
            fitted(LinearRegression(), people()),
            people().assign(dose=np.roll(people()["dose"], 1)),
        ),
    ),
    "a model that is not the trained one": (
        "unknown",
        lambda: subject_of(
            fitted(RandomForestClassifier(10, random_state=0), ill().assign(dose=ill(9)["dose"])),
            ill(),
        ),
    ),
    "logarithms of doses": (
        "response scale",
        lambda: subject_of(
            lambda table: 3 + 0.01 * table["age"],
            people().assign(dose=np.exp(3 + 0.01 * people()["age"])),
        ),
    ),
    "classes in another order": (
        "class order",
        lambda: subject_of(_backwards(ill()), ill(), outputs="scores"),
    ),
    "a model fitted before, its classes moved": (
        "class order",
        lambda: subject_of(_moved(graded(), frozen=True), graded(), outputs="scores"),
    ),
    "a model whose classes are moved whenever it learns": (
        "class order",
        lambda: subject_of(_moved(graded(), frozen=False), graded(), outputs="scores"),
    ),
    "a model that says the opposite of what it learned": (
        "unknown",
        lambda: subject_of(
            Opposite().fit(people()[:MEMBERS][INPUTS], people()["dose"][:MEMBERS]), people()
        ),
    ),
    "a model fitted before, to other doses": (
        "unknown",
        lambda: subject_of(
            FrozenEstimator(
                fitted(
                    DecisionTreeRegressor(random_state=0),
                    people().assign(dose=people(9)["dose"]),
                )
            ),
            people(),
        ),
    ),
    "codes that the model knows as text": (
        "dtype",
        lambda: subject_of(
            _by_text(people()),
            people().assign(
                gene=(codes := people()["gene"].map({"AA": 0, "AG": 1, "GG": 2})),
                dose=codes.map({0: 0.0, 1: 9.0, 2: -30.0})
                + np.random.default_rng(0).normal(0, 3, len(codes)),
            ),
        ),
    ),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", MISUSES)
def test_what_is_set_up_wrongly_is_told_with_its_cause(name: str) -> None:
    cause, build = MISUSES[name]
    found = knowledge(build())
    assert (found.outcome, found.cause) == ("failed", cause), found
    assert found.remedy


def test_a_model_that_says_the_same_of_all_is_noted() -> None:
    frame = ill()
    found = knowledge(subject_of(lambda table: ["low"] * len(table), frame))
    assert (found.outcome, found.cause) == ("noted", "")


@pytest.mark.medium
def test_a_function_that_learned_little_and_wants_scaled_numbers_is_noted() -> None:
    """Another reading explains more, but not so much that it must be the right one."""
    numbers, frame = ["age", "weight", "visits"], ill()
    scale = StandardScaler().fit(frame[:MEMBERS][numbers])
    forest = RandomForestClassifier(50, min_samples_leaf=20, random_state=0)
    forest.fit(scale.transform(frame[:MEMBERS][numbers]), frame["dose"][:MEMBERS])

    def raw(table: pd.DataFrame) -> Any:
        return forest.predict_proba(table[numbers].to_numpy())

    def rightly(table: pd.DataFrame) -> Any:
        return forest.predict_proba(scale.transform(table[numbers]))

    found = knowledge(subject_of(raw, frame, outputs="scores"))
    assert (found.outcome, found.cause) == ("noted", "")
    assert "With numbers scaled to mean 0 and deviation 1, it spares" in found.found
    assert "scaled to mean 0 and deviation 1" in found.remedy
    assert knowledge(subject_of(rightly, frame, outputs="scores")).outcome == "passed"


# ---------------------------------------------------------------- rows in two tables


def test_public_rows_that_are_private_ones() -> None:
    frame, model = people(), (lambda table: table["age"])
    private, public = frame[: MEMBERS + OTHERS], frame[MEMBERS + OTHERS :]
    assert check_public(subject_of(model, frame).data).outcome == "passed"
    for shared in (30, 150):
        mixed = pd.concat([public, private[:shared]], ignore_index=True)
        found = check_public(subject_of(model, frame, mixed).data)
        assert (found.outcome, found.cause) == ("failed", "shared rows")
        assert f"{shared} of {PUBLIC + shared}" in found.found
    # Written with fewer digits they are the same rows.
    rounded = private[:60].assign(age=private["age"][:60].astype("float32"))
    mixed = pd.concat([public, rounded], ignore_index=True)
    assert check_public(subject_of(model, frame, mixed).data).outcome == "failed"


def test_rows_of_few_categories_agree_by_chance() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        frame = people(seed).assign(age=rng.choice([1, 2], 330), weight=rng.choice([1, 2, 3], 330))
        subject = subject_of(lambda table: table["age"], frame)
        for found in (check_public(subject.data), check_others(subject.data)):
            assert found is not None
            assert found.outcome == "noted"


def test_held_out_rows_that_the_model_has_seen() -> None:
    frame = people()
    twice = pd.concat([frame[:MEMBERS], frame[:OTHERS], frame[MEMBERS + OTHERS :]])
    found = check_others(subject_of(lambda table: table["age"], twice).data)
    assert found is not None
    assert (found.outcome, found.cause) == ("failed", "shared rows")
    alone = subject_of(lambda table: table["age"], frame).data
    nobody = alone.others._replace(rows=alone.others.rows[:0])
    assert check_others(TableData(alone.schema, alone.members, nobody, alone.public)) is None


# ---------------------------------------------------------------- known columns


def _dummies(frame: pd.DataFrame) -> pd.DataFrame:
    coded = pd.get_dummies(frame.drop(columns="dose"), columns=["gene"], dtype=int)
    return coded.assign(dose=frame["dose"])


@pytest.mark.parametrize(
    ("frame", "options", "outcome", "said"),
    [
        (people(), {}, "passed", "No known column gives gene away"),
        (
            people().assign(code=people()["gene"].map({"AA": 5, "AG": 7, "GG": 9})),
            {},
            "failed",
            "Column 'code' gives gene away",
        ),
        (
            people().assign(code=people()["gene"].map({"AA": 5, "AG": 7, "GG": 9})),
            {"unknown": ["code"]},
            "failed",
            "Column 'code' gives gene away",
        ),
        (
            _dummies(people()),
            {"sensitive": ["gene_AG"]},
            "failed",
            "Columns gene_AG, gene_AA, gene_GG are one attribute",
        ),
        (
            _dummies(people()).drop(columns="gene_AA"),
            {"sensitive": ["gene_AG"]},
            "passed",
            "No known column gives gene_AG away",
        ),
        (
            people().assign(
                old=(old := people()["age"] > 50),
                heavy=(heavy := people()["weight"] > 70),
                gene=np.where(old & heavy, "AA", "AG"),
                age=people(1)["age"],
                weight=people(1)["weight"],
            ),
            {},
            "failed",
            "The known columns together give gene away",
        ),
        (
            people().assign(kilos=people()["weight"] * 2 + people()["age"]),
            {"sensitive": ["kilos"]},
            "noted",
            "Column 'kilos' follows from the known numbers",
        ),
        (people(), {"sensitive": ["weight"]}, "passed", "No known column gives weight away"),
    ],
)
def test_what_gives_the_sensitive_column_away(
    frame: pd.DataFrame, options: dict[str, Any], outcome: str, said: str
) -> None:
    found = check_given_away(subject_of(lambda table: table["age"], frame, **options))
    assert found.outcome == outcome
    assert said in found.found
    assert found.cause == ("determined by known columns" if outcome == "failed" else "")
    if "gene_AG" in said and outcome == "failed":
        assert 'columns = ["gene_AG", "gene_AA", "gene_GG"]' in found.remedy


def test_a_rare_value_is_given_away_by_nobody() -> None:
    frame = people().assign(gene=["AA"] * 178 + ["GG"] * 2 + ["AA"] * 147 + ["GG"] * 3)
    frame["visits"] = np.where(frame["gene"] == "GG", 99, frame["visits"])
    found = check_given_away(subject_of(lambda table: table["age"], frame))
    assert found.outcome == "passed"


# ---------------------------------------------------------------- answers


def test_answers_that_hang_on_chance_or_on_each_other() -> None:
    rng, count = np.random.default_rng(0), itertools.count()
    cases: tuple[tuple[Callable[[pd.DataFrame], Any], str, str], ...] = (
        (lambda table: table["age"] * 2.0, "passed", ""),
        (lambda table: table["age"] + rng.normal(size=len(table)), "failed", "random answers"),
        (lambda table: table["age"] + next(count), "failed", "random answers"),
        (lambda table: table["age"] - table["age"].mean(), "failed", "answers by batch"),
    )
    for model, outcome, cause in cases:
        found = check_answers(subject_of(model, people()))
        assert (found.outcome, found.cause) == (outcome, cause)


def test_a_model_that_never_looks_is_noted() -> None:
    looks = used(subject_of(lambda table: (table["gene"] == "GG") * 1.0, people()))
    assert looks.outcome == "passed"
    ignores = used(subject_of(lambda table: table["age"], people()))
    assert ignores.outcome == "noted"
    assert "0 get another answer where gene is another" in ignores.found
