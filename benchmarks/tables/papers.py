"""Tables split again and again, and the paper on trees on its own data, the steak survey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.att_faces import data_folder
from benchmarks.tables.clustered import pigeonhole
from benchmarks.tables.data_sets import load_steak
from darkroom.ledger import QueryLedger
from darkroom.statistics.intervals import Interval
from darkroom.tables.attacks.base import Records, TableAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.tree_confusion import TreeConfusionAttack
from darkroom.tables.attacks.tree_counts import TreeCountsAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.columns import schema_of
from darkroom.tables.data import encode_table
from darkroom.tables.measures.attributes import mcc
from darkroom.tables.priors.counts import MarginalsPrior, TablePrior
from darkroom.tables.priors.imputation import Imputer
from darkroom.tables.schema import Column, Rows, Schema
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView

Places = NDArray[np.int64]
Values = NDArray[np.float64]


def posterior_of(
    attack: TableAttack,
    target: TableTarget,
    prior: TablePrior,
    rows: Rows,
    response: Values,
    errors: Errors,
) -> Values:
    """Attacks rows whose sensitive and unknown columns it hides first, ``(rows, candidates)``."""
    view = TableView(target, attack.access, QueryLedger(len(rows)))
    known = rows.copy()
    known[:, target.schema.hidden] = np.nan
    *_, last = attack.run(
        view, prior, Records(known, response), errors, rng=np.random.default_rng(0)
    )
    return last.posterior


def errors_on(target: TableTarget, rows: Rows, response: Values) -> Errors:
    """Measures how a target errs on rows."""
    return Errors.of(response, target.predict(rows), target.classes)


class Survey(NamedTuple):
    """A table that is split again and again.

    Attributes:
        schema: Its columns.
        rows: All rows.
        response: What truly happened.
        truth: The true candidate of each row.
        candidates: What the sensitive columns may be.
    """

    schema: Schema
    rows: Rows
    response: Values
    truth: Places
    candidates: Candidates

    @classmethod
    def of(cls, frame: Any, response: str, sensitive: str) -> Survey:
        """Encodes a table."""
        schema = schema_of(frame, response, [sensitive])
        encoded = encode_table(frame, schema)
        candidates = Candidates.of(schema)
        truth = candidates.place(encoded.rows)
        return cls(schema, encoded.rows, encoded.response, truth, candidates)

    def splits(self, n: int, seed: int, shares: Sequence[float]) -> Iterator[list[Places]]:
        """Yields the places of the parts of each of ``n`` splits."""
        cuts = (np.cumsum(shares)[:-1] * len(self.rows)).round().astype(int)
        for split in range(n):
            order = np.random.default_rng([seed, split]).permutation(len(self.rows))
            yield np.split(order, cuts)


# ---------------------------------------------------------------- steak

STEAK_PAPER = (
    ("paper, white-box with counts", "-", 0.864, 1.0, 0.211, None),
    ("paper, black-box", "-", 0.858, 0.857, 0.211, None),
    ("paper, always No", "-", 0.829, 0.0, 0.0, None),
)
"""What Fredrikson et al. 2015 report: accuracy, precision and recall of Yes."""


def steak_trees(seed: int) -> dict[str, Any]:
    """Returns unpruned trees that are not trained yet, by how they read categories."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
    from sklearn.tree import DecisionTreeClassifier

    orders = {
        "age": ["18-29", "30-44", "45-60", "> 60"],
        "income": [
            "$0 - $24,999",
            "$25,000 - $49,999",
            "$50,000 - $99,999",
            "$100,000 - $149,999",
            "$150,000+",
        ],
        "education": [
            "Less than high school degree",
            "High school degree",
            "Some college or Associate degree",
            "Bachelor degree",
            "Graduate degree",
        ],
    }
    frame = load_steak(data_folder() / "steak-risk-survey.csv").drop(columns="steak")
    categories = [orders.get(name, sorted(frame[name].unique())) for name in frame]
    ordered = OrdinalEncoder(categories=categories)
    one_hot = OneHotEncoder(categories=categories)
    return {
        "tree": make_pipeline(ordered, DecisionTreeClassifier(random_state=seed)),
        "tree, one-hot": make_pipeline(one_hot, DecisionTreeClassifier(random_state=seed)),
        "tree, random splits": make_pipeline(
            ordered, DecisionTreeClassifier(random_state=seed, splitter="random")
        ),
    }


def steak_claims(splits: int, seed: int) -> tuple[list[Claim], list[Table]]:
    """Attacks unpruned trees in many splits; see the module.

    Returns:
        Claims and tables.
    """
    tell(f"steak survey: {splits} splits")
    frame = load_steak(data_folder() / "steak-risk-survey.csv")
    survey = Survey.of(frame, "steak", "cheated")
    attacks = (TreeConfusionAttack(), TreeCountsAttack(), TreeCountsAttack(response="ignore"))
    names = ("tree-confusion", "tree-counts", "tree-counts, response ignored")
    pooled: dict[tuple[str, str, str], Values] = {}
    accuracy: dict[str, list[float]] = {}
    for split, (members, others) in enumerate(survey.splits(splits, seed, (0.8, 0.2))):
        for kind, tree in steak_trees(split).items():
            tree.fit(frame.iloc[members].drop(columns="steak"), frame["steak"].iloc[members])
            target = SklearnTableTarget(tree, survey.schema)
            prior = MarginalsPrior(survey.candidates, survey.rows[members], smoothing=0.01)
            errors = errors_on(target, survey.rows[members], survey.response[members])
            right = target.predict(survey.rows[others]) == survey.response[others]
            accuracy.setdefault(kind, []).append(float(right.mean()))
            guesses = {
                name: posterior_of(
                    attack, target, prior, survey.rows, survey.response, errors
                ).argmax(axis=1)
                for name, attack in zip(names, attacks, strict=True)
            }
            guesses["the most that labels can give"] = _ceiling(target, survey)
            for name, guess in guesses.items():
                for who, places in (("members", members), ("others", others)):
                    _add(pooled, (kind, name, who), (split, splits), survey, places, guess)
    guess = _imputed(survey, seed)
    for split, (members, others) in enumerate(survey.splits(splits, seed, (0.8, 0.2))):
        for who, places in (("members", members), ("others", others)):
            _add(pooled, ("no model", "imputation", who), (split, splits), survey, places, guess)
    return _steak_outcome(pooled, accuracy, seed)


def _ceiling(target: TableTarget, survey: Survey) -> Places:
    """Returns the truth where the tree tells the two values apart, and the usual one elsewhere."""
    candidates = survey.candidates
    said = target.predict(candidates.fill(survey.rows)).reshape(-1, len(candidates))
    usual = np.bincount(survey.truth).argmax()
    return np.asarray(np.where(said[:, 0] != said[:, 1], survey.truth, usual))


def _imputed(survey: Survey, seed: int) -> Places:
    """Returns what an imputation model says of each row that learned from the other rows."""
    fold = np.random.default_rng([seed, 99]).permutation(len(survey.rows)) % 5
    guess = np.zeros(len(survey.rows), dtype=np.int64)
    for one in range(5):
        learn, test = fold != one, fold == one
        imputer = Imputer(
            survey.candidates, survey.rows[learn], response=survey.response[learn], seed=seed
        )
        posterior = imputer.probabilities(survey.rows[test], survey.response[test])
        guess[test] = posterior.argmax(axis=1)
    return guess


def _add(
    pooled: dict[tuple[str, str, str], Values],
    key: tuple[str, str, str],
    split: tuple[int, int],
    survey: Survey,
    places: Places,
    guess: Places,
) -> None:
    """Adds the confusions of one split of so many: ``(splits, rows, candidates squared)``."""
    k = len(survey.candidates)
    counts = pooled.setdefault(key, np.zeros((split[1], len(survey.rows), k * k)))
    counts[split[0], places, survey.truth[places] * k + guess[places]] = 1


def _steak_outcome(
    pooled: dict[tuple[str, str, str], Values], accuracy: dict[str, list[float]], seed: int
) -> tuple[list[Claim], list[Table]]:
    def pooled_mcc(cells: Values) -> Values:
        return mcc(cells.reshape(-1, 2, 2))

    rows: list[list[object]] = []
    found: dict[tuple[str, str, str], Interval] = {}
    for key, counts in pooled.items():
        (no_no, no_yes), (yes_no, yes_yes) = counts.sum(axis=(0, 1)).reshape(2, 2)
        total, guessed = counts.sum(), no_yes + yes_yes
        interval = pigeonhole(counts, pooled_mcc, rng=np.random.default_rng(seed))
        found[key] = interval
        kind, name, who = key
        right = (no_no + yes_yes) / total
        precision = yes_yes / guessed if guessed else None
        rows.append(
            [f"{kind}: {name}", who, right, precision, yes_yes / (yes_no + yes_yes), *interval]
        )
    paper = [[*row, None, None] for row in STEAK_PAPER]
    columns = ("attack", "rows", "accuracy", "precision", "recall", "mcc", "low", "high")
    utility = [[kind, float(np.mean(each))] for kind, each in accuracy.items()]
    members = found["tree", "tree-confusion", "members"]
    others = found["tree", "tree-confusion", "others"]
    claims = [
        # With this tree no attack on labels can pass 0.70: see _ceiling.
        Claim("steak: tree-confusion on members, MCC", 0.60, members.estimate),
        Claim("steak: tree-confusion on others, lower end of MCC", 0.0, others.low, at_most=True),
        Claim("steak: tree-confusion on others, upper end of MCC", 0.0, others.high),
    ]
    return claims, [
        Table("Steak survey, 'cheated' from how they like their steak", columns, [*paper, *rows]),
        Table("Accuracy of the trees on others", ("tree", "accuracy"), utility),
    ]


def steak_codes(*, last: bool) -> Survey:
    """Returns the survey with every answer as the number of its category.

    Args:
        last: Whether the sensitive column is the last one.
    """
    frame = load_steak(data_folder() / "steak-risk-survey.csv")
    if last:
        frame["cheated"] = frame.pop("cheated")
    survey = Survey.of(frame, "steak", "cheated")
    columns = [
        Column(
            column.name, "categorical", tuple(float(place) for place in range(len(column.values)))
        )
        for column in survey.schema.columns
    ]
    classes = tuple(range(len(survey.schema.response.values)))
    schema = Schema(tuple(columns), Column("steak", "categorical", classes), ("cheated",))
    return survey._replace(schema=schema, candidates=Candidates.of(schema))
