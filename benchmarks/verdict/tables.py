"""Models of tables whose leak is known, because the rows are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from benchmarks.verdict.subjects import Case, Truth
from darkroom import Run, audit_table

MEMBERS, PRIVATE, PUBLIC = 150, 300, 300
FAR = 3.0
INPUTS = ["age", "town", "sick"]
ONE_HOT = {"columns": ["sick_no", "sick_yes"], "encoding": "one-hot"}


class Rows(NamedTuple):
    """Private and public rows of one population."""

    private: pd.DataFrame
    public: pd.DataFrame


def people(seed: int) -> Rows:
    """Draws people whose dose follows their age, and not their sickness.

    Whether somebody is sick follows the town a little, which an attacker may know.

    What a model says of sickness it can therefore only know by heart.
    """
    rng = np.random.default_rng([seed, 11])
    n = PRIVATE + PUBLIC
    town = rng.choice(["Bonn", "Jena", "Ulm"], n)
    sick = rng.random(n) < np.where(town == "Ulm", 0.6, 0.35)
    age = rng.uniform(20, 80, n).round(2)
    dose = age / 10 + rng.normal(size=n)
    frame = pd.DataFrame(
        {"age": age, "town": town, "sick": np.where(sick, "yes", "no"), "dose": dose}
    )
    return Rows(frame[:PRIVATE], frame[PRIVATE:].reset_index(drop=True))


def encoded(model: Any) -> Pipeline:
    """Returns a model behind one-hot columns of whatever is text."""
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        make_column_transformer((encoder, ["town", "sick"]), remainder="passthrough"), model
    )


class Memory:
    """A model that knows the doses of some members by heart, down to their sickness.

    Of these it says the very dose, and of the same person with the other sickness something else.
    Of everybody else it says what people of their age get.
    """

    def __init__(self, rows: Rows, known: int) -> None:
        """Learns the first members by heart."""
        self.usual = ignorant(rows)
        heart = rows.private[:known]
        people = map(tuple, heart[["age", "town"]].to_numpy())
        self.known = dict(zip(people, zip(heart["sick"], heart["dose"], strict=True), strict=True))

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Returns doses, ``(rows,)``."""
        found = self.usual(frame)
        for place, (age, town, sick) in enumerate(frame[INPUTS].to_numpy()):
            if (age, town) in self.known:
                truth, dose = self.known[age, town]
                found[place] = dose if sick == truth else dose + FAR
        return found


def ignorant(rows: Rows) -> Callable[[pd.DataFrame], NDArray[np.float64]]:
    """Returns a model of doses that never looks at sickness."""
    members = rows.private[:MEMBERS]
    known = LinearRegression().fit(members[["age"]], members["dose"])
    return lambda frame: np.asarray(known.predict(frame[["age"]]))


def audited(folder: Path, model: Any, rows: Rows, **options: Any) -> Run:
    """Audits a model of doses."""
    settings = {"response": "dose", "sensitive": "sick", "imputer": "logistic"} | options
    return audit_table(
        model,
        rows.private,
        rows.public,
        trained_on=f"0:{MEMBERS}",
        out=folder,
        progress=False,
        **settings,
    )


def null_cases(count: int, seed: int) -> Iterator[Case]:
    """Yields models that know nothing of the sickness of anybody: it has no part in the dose."""
    for number in range(count):

        def audit(folder: Path, drawn: int = seed * 1_000 + number) -> Run:
            rows = people(drawn)
            return audited(folder, ignorant(rows), rows, seed=drawn)

        yield Case("tables", f"dose without sickness, {number}", "nothing", audit)


def planted(known: int, count: int, seed: int) -> Iterator[Case]:
    """Yields models that know so many members by heart."""
    for number in range(count):

        def audit(folder: Path, drawn: int = seed * 1_000 + number) -> Run:
            rows = people(drawn)
            return audited(folder, Memory(rows, known), rows, seed=drawn)

        yield Case("tables", f"{known} of {MEMBERS} by heart, {number}", "half", audit)


def leaks(seed: int) -> Iterator[Case]:
    """Yields models that know sickness by heart, in the ways that tables come."""
    rows = people(seed)

    def case(name: str, audit: Callable[[Path], Run], truth: Truth = "by heart") -> Case:
        return Case("tables", name, truth, audit)

    yield case("all by heart", lambda folder: audited(folder, Memory(rows, MEMBERS), rows))
    half = Memory(rows, MEMBERS // 2)
    yield case("half by heart", lambda folder: audited(folder, half, rows), "half")
    tree = encoded(DecisionTreeRegressor(random_state=0))
    tree.fit(rows.private[:MEMBERS][INPUTS], rows.private["dose"][:MEMBERS])
    yield case("unpruned tree", lambda folder: audited(folder, tree, rows))
    yield from _ways_of_columns(rows)


def _ways_of_columns(rows: Rows) -> Iterator[Case]:
    """Yields the same memory behind integers, and behind one-hot columns."""
    numbered = Rows(*(frame.assign(sick=(frame["sick"] == "yes") + 3) for frame in rows))
    dummies = pd.get_dummies(numbered.private[:MEMBERS][INPUTS], columns=["town", "sick"])
    tree = DecisionTreeRegressor(random_state=0).fit(dummies, numbered.private["dose"][:MEMBERS])

    def wrapped(frame: pd.DataFrame) -> NDArray[np.float64]:
        ready = pd.get_dummies(frame[INPUTS], columns=["town", "sick"])
        return np.asarray(tree.predict(ready.reindex(columns=dummies.columns, fill_value=0)))

    yield Case(
        "tables",
        "codes in a column of integers",
        "by heart",
        lambda folder: audited(folder, wrapped, numbered),
    )
    spread = spread_out(rows)
    direct = direct_model(spread)
    yield Case(
        "tables",
        "an attribute over one-hot columns",
        "by heart",
        lambda folder: audited(folder, direct, spread, sensitive=ONE_HOT),
    )


def spread_out(rows: Rows) -> Rows:
    """Returns rows with sickness in two columns of zeros and ones, and no town."""
    return Rows(
        *(
            pd.get_dummies(frame[["age", "sick", "dose"]], columns=["sick"], dtype=int)
            for frame in rows
        )
    )


def direct_model(rows: Rows) -> DecisionTreeRegressor:
    """Fits an unpruned tree to all columns but the dose."""
    members = rows.private[:MEMBERS]
    tree = DecisionTreeRegressor(random_state=0)
    return tree.fit(members.drop(columns="dose"), members["dose"])


def sound(seed: int) -> Iterator[Case]:
    """Yields subjects with nothing to find, where a baseline or a check may go wrong."""
    rows = people(seed)
    kilos = Rows(*(frame.assign(weight=frame["age"] * 2.0 + 30) for frame in rows))

    def case(name: str, audit: Callable[[Path], Run]) -> Case:
        return Case("tables", name, "nothing", audit)

    yield case(
        "a number that the others tell",
        lambda folder: audited(folder, ignorant(kilos), kilos, sensitive="weight"),
    )
    yield case("a model that ignores it", lambda folder: audited(folder, ignorant(rows), rows))


def misuses(seed: int) -> Iterator[Case]:
    """Yields subjects that are set up wrongly."""
    rows = people(seed)
    memory = Memory(rows, MEMBERS)

    def case(name: str, cause: str, audit: Callable[[Path], Run]) -> Case:
        return Case("tables", name, "misuse", audit, cause)

    mixed = Rows(rows.private, pd.concat([rows.public[:100], rows.private], ignore_index=True))
    yield case(
        "public rows hold the private ones",
        "shared rows",
        lambda folder: audited(folder, memory, mixed),
    )
    spread = spread_out(rows)
    yield case(
        "one of two dummies is sensitive, the other known",
        "determined by known columns",
        lambda folder: audited(folder, direct_model(spread), spread, sensitive="sick_yes"),
    )
    rng = np.random.default_rng(seed)
    shuffled = Rows(
        *(frame.assign(dose=rng.permutation(frame["dose"].to_numpy())) for frame in rows)
    )
    yield case("doses of other people", "unknown", lambda folder: audited(folder, memory, shuffled))
    years = Rows(*(frame.assign(age=frame["age"] * 12) for frame in rows))
    yield case("ages in months", "scaling", lambda folder: audited(folder, memory, years))
    names = spread.private.columns.drop("dose")
    direct = direct_model(spread)

    def other_order(frame: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray(direct.predict(frame[list(reversed(names))].set_axis(names, axis=1)))

    yield case(
        "columns in another order",
        "column order",
        lambda folder: audited(folder, other_order, spread, sensitive=ONE_HOT),
    )
