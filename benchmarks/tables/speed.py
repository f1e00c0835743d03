"""Attribute inference beside ART's attacks on trees, and what it costs in rows."""

from __future__ import annotations

import time
import tracemalloc
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.claims import Claim, Table, tell
from benchmarks.tables.clustered import pigeonhole
from benchmarks.tables.papers import Places, Values, errors_on, posterior_of, steak_codes
from darkroom.ledger import QueryLedger
from darkroom.tables.attacks.base import Records, TableAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.attacks.tree_confusion import TreeConfusionAttack
from darkroom.tables.attacks.tree_counts import TreeCountsAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.measures.attributes import g_mean, mcc
from darkroom.tables.priors.counts import MarginalsPrior, UniformPrior
from darkroom.tables.schema import Column, Rows, Schema
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView

ART = ("AttributeInferenceWhiteBoxDecisionTree", "AttributeInferenceWhiteBoxLifestyleDecisionTree")
MEASURES = ("accuracy", "precision", "recall", "mcc", "g-mean")


class Case(NamedTuple):
    """One split of the steak survey as numbers, with the tree trained on it.

    Attributes:
        tree: The tree.
        target: The same as a target.
        rows: All rows.
        response: Their classes.
        truth: The true sensitive values, 0 or 1.
        members, others: Places of rows.
        shares: How usual each value is among members.
    """

    tree: Any
    target: TableTarget
    rows: Rows
    response: Values
    truth: Places
    members: Places
    others: Places
    shares: Values

    @property
    def feature(self) -> int:
        """Where the sensitive column stands."""
        return int(self.target.schema.positions(self.target.schema.sensitive)[0])


def steak_case(seed: int, split: int, *, last: bool = False) -> Case:
    """Trains an unpruned tree on codes; with ``last`` the sensitive column is the last one."""
    from sklearn.tree import DecisionTreeClassifier

    survey = steak_codes(last=last)
    order = np.random.default_rng([seed, split]).permutation(len(survey.rows))
    members, others = np.split(order, [round(0.8 * len(order))])
    tree = DecisionTreeClassifier(random_state=split)
    tree.fit(survey.rows[members], survey.response[members].astype(int))
    shares = np.bincount(survey.truth[members], minlength=2) / len(members)
    target = SklearnTableTarget(tree, survey.schema)
    return Case(tree, target, survey.rows, survey.response, survey.truth, members, others, shares)


def art_guess(case: Case, name: str, places: Places) -> Places:
    """Returns what one of ART's attacks says of some rows.

    Raises:
        ValueError: If the sensitive column is the last one.
    """
    from art.attacks.inference import attribute_inference
    from art.estimators.classification.scikitlearn import ScikitlearnDecisionTreeClassifier

    attack = getattr(attribute_inference, name)(
        ScikitlearnDecisionTreeClassifier(case.tree), attack_feature=case.feature
    )
    found = attack.infer(
        np.delete(case.rows[places], case.feature, axis=1),
        case.response[places].astype(int),
        values=[0.0, 1.0],
        priors=case.shares.tolist(),
    )
    return np.asarray(found).astype(np.int64)


def our_guess(case: Case, attack: TableAttack, places: Places) -> Places:
    """Returns what one of our attacks says of some rows."""
    candidates = Candidates.of(case.target.schema)
    prior = MarginalsPrior(candidates, case.rows[case.members], smoothing=0.01)
    errors = errors_on(case.target, case.rows[case.members], case.response[case.members])
    posterior = posterior_of(
        attack, case.target, prior, case.rows[places], case.response[places], errors
    )
    return np.asarray(posterior.argmax(axis=1))


def peer_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Compares accuracy and speed with ART's two attacks on decision trees."""
    tell("steak survey: ART's attacks on the same trees")
    ours: dict[str, TableAttack] = {
        "tree-counts": TreeCountsAttack(),
        "tree-confusion": TreeConfusionAttack(),
    }
    pooled: dict[tuple[str, str], Values] = {}
    splits = 5 if quick else 20
    for split in range(splits):
        case = steak_case(seed, split)
        for who, places in (("members", case.members), ("others", case.others)):
            guesses = {name: our_guess(case, attack, places) for name, attack in ours.items()}
            guesses |= {name: art_guess(case, name, places) for name in ART}
            for name, guess in guesses.items():
                counts = pooled.setdefault((name, who), np.zeros((splits, len(case.rows), 4)))
                counts[split, places, case.truth[places] * 2 + guess] = 1
    rows: list[list[object]] = [
        [name, who, *(float(value) for value in _measured(counts.sum(axis=(0, 1))[None])[0])]
        for (name, who), counts in pooled.items()
    ]
    claims = [_ahead(pooled, art, who, seed) for who in ("members", "others") for art in ART]
    speed, timings = _speed_claims(quick=quick, seed=seed)
    table = Table("The same trees, ours and ART's", ("attack", "rows", *MEASURES), rows)
    return [*claims, *speed, _last_column(seed)], [table, timings]


def _measured(cells: Values) -> Values:
    """Returns each measure of pooled counts ``(draws, 4)``, as ``(draws, measures)``."""
    confusion = cells.reshape(-1, 2, 2)
    guessed = confusion[:, :, 1].sum(axis=1)
    right = confusion[:, 1, 1]
    return np.stack(
        [
            np.trace(confusion, axis1=1, axis2=2) / confusion.sum(axis=(1, 2)),
            right / np.where(guessed > 0, guessed, 1),
            right / confusion[:, 1].sum(axis=1),
            mcc(confusion),
            g_mean(confusion, np.array([True, True])),
        ],
        axis=1,
    )


def _ahead(pooled: dict[tuple[str, str], Values], art: str, who: str, seed: int) -> Claim:
    """Claims that tree-counts is not behind an attack of ART's in any measure.

    On members it is the measure in which it is ahead least. On others, of whom the tree knows
    nothing, it is the least upper end of the intervals of the differences.
    """
    both = np.concatenate([pooled["tree-counts", who], pooled[art, who]], axis=2)
    ahead = [
        pigeonhole(
            both,
            partial(_lead, measure=place),
            rng=np.random.default_rng(seed),
            draws=1000,
        )
        for place in range(len(MEASURES))
    ]
    if who == "members":
        least = min(interval.estimate for interval in ahead)
        return Claim(f"tree-counts less ART {art}, members, worst measure", 0.0, least)
    least = min(interval.high for interval in ahead)
    return Claim(f"tree-counts less ART {art}, others, worst measure, upper end", 0.0, least)


def _lead(cells: Values, measure: int) -> Values:
    """Returns how far the first four cells are ahead of the last four in one measure."""
    return np.asarray((_measured(cells[:, :4]) - _measured(cells[:, 4:]))[:, measure])


def _speed_claims(*, quick: bool, seed: int) -> tuple[list[Claim], Table]:
    case = steak_case(seed, 0)
    number = 5_000 if quick else 100_000
    places = np.random.default_rng(seed).integers(len(case.rows), size=number)
    our_guess(case, TreeCountsAttack(), places[:100])
    mine = _seconds(lambda: our_guess(case, TreeCountsAttack(), places))
    rows: list[list[object]] = [["tree-counts", number, mine, None]]
    claims = []
    for name in ART:
        tell(f"ART {name} on {number} rows")
        theirs = _seconds(lambda name=name: art_guess(case, name, places))
        rows.append([name, number, theirs, theirs / mine])
        claims.append(Claim(f"speed over ART {name}, {number} rows", 50.0, theirs / mine))
    columns = ("attack", "rows", "seconds", "times ours")
    return claims, Table("Seconds for the same rows and tree", columns, rows)


def _seconds(job: Any) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def _last_column(seed: int) -> Claim:
    """Claims that the sensitive column may be the last one, which ART refuses."""
    case = steak_case(seed, 0, last=True)
    guess = our_guess(case, TreeCountsAttack(), case.members)
    try:
        art_guess(case, ART[0], case.members)
        refused = "accepts"
    except ValueError:
        refused = "refuses"
    right = float((guess == case.truth[case.members]).mean())
    usual = float(case.shares.max())
    text = f"last column (ART {refused} it): accuracy over the most frequent value"
    return Claim(text, 0.0, right - usual)


def cost_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Measures seconds and memory of growing tables, ten candidates a row."""
    sizes = (10_000, 30_000, 300_000) if quick else (10_000, 100_000, 1_000_000)
    target = ten_values(seed)
    _attack_blocks(target, 2_000, seed)
    rows: list[list[object]] = []
    found = []
    for size in sizes:
        tell(f"cost: {size} rows x 10 values")
        seconds, megabytes = _attack_blocks(target, size, seed)
        found.append((size, seconds, megabytes))
        rows.append([size, seconds, 1e6 * seconds / (size * 10), megabytes])
    per_row = [seconds / size for size, seconds, _ in found]
    bound = MapAttack().memory / 1e6
    most = max(megabytes for *_, megabytes in found)
    columns = ("rows", "seconds", "microseconds a row and value", "peak MB beside the rows")
    return [
        Claim(
            f"cost: seconds a row, {sizes[2]} rows over {sizes[1]}",
            1.25,
            per_row[2] / per_row[1],
            at_most=True,
        ),
        Claim(f"cost: peak MB beside the rows, {sizes[2]} rows", bound, most, at_most=True),
    ], [Table("Cost of map against a linear model, ten values", columns, rows)]


def ten_values(seed: int) -> TableTarget:
    """Returns a linear model of five numbers and a column of ten values."""
    from sklearn.linear_model import LinearRegression

    columns = (
        *(Column(f"x{place}", "numeric") for place in range(5)),
        Column("secret", "categorical", tuple(float(value) for value in range(10))),
    )
    rng = np.random.default_rng(seed)
    table = np.column_stack([rng.normal(size=(1000, 5)), rng.integers(10, size=1000)])
    response = table.sum(axis=1) + rng.normal(size=1000)
    schema = Schema(columns, Column("y", "numeric"), ("secret",))
    return SklearnTableTarget(LinearRegression().fit(table, response), schema)


def _attack_blocks(target: TableTarget, size: int, seed: int) -> tuple[float, float]:
    """Attacks a table block by block, keeping only the guesses.

    Returns:
        The least seconds of three passes, and the peak of megabytes allocated in another, without
        the table itself.
    """
    rng = np.random.default_rng(seed)
    known = np.column_stack([rng.normal(size=(size, 5)), np.full(size, np.nan)])
    records = Records(known, rng.normal(4.5, 3, size=size))
    candidates = Candidates.of(target.schema)

    def attack() -> None:
        guesses = np.empty(size, np.int8)
        view = TableView(target, MapAttack.access, QueryLedger(size))
        blocks = MapAttack().ask(
            view, UniformPrior(candidates), records, Errors(1.0, None), rng=rng
        )
        for block in blocks:
            stop = block.start + len(block.found)
            guesses[block.start : stop] = block.found.argmax(axis=1)

    seconds = min(_seconds(attack) for _ in range(3))
    tracemalloc.start()
    attack()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return seconds, peak
