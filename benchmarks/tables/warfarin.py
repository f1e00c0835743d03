"""The paper on warfarin dosing, on its own data: genotypes from the stable dose."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.att_faces import data_folder
from benchmarks.tables.clustered import pigeonhole
from benchmarks.tables.data_sets import load_warfarin
from benchmarks.tables.papers import Places, Survey, Values, errors_on, posterior_of
from darkroom.statistics.intervals import Interval
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.measures.attributes import mcc
from darkroom.tables.priors.counts import ConditionalPrior
from darkroom.tables.priors.imputation import Imputer
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget

GENES = ("vkorc1", "cyp2c9")

BY_ACCURACY = ("vkorc1",)
"""Genes with a bar for accuracy; of the other, three in four patients have the same variant."""


def dose_model() -> Any:
    """Returns a linear model of the square root of the dose that is not trained yet."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer((one_hot, ["race", *GENES]), remainder="passthrough"),
        LinearRegression(),
    )


class Warfarin(NamedTuple):
    """What the splits of one gene add up to, each ``(splits, rows, cells)``.

    Attributes:
        attack: Confusions of the attack with the race-conditional prior, by who.
        race: Confusions of the best guess from race alone, by who.
        versus: Rows, and the attack's hits less the race-only guess's, by who.
        imputed: Rows, and the attack's hits less the imputation model's, by who.
        rates: Mean hits of each guesser, by who.
    """

    attack: dict[str, Values]
    race: dict[str, Values]
    versus: dict[str, Values]
    imputed: dict[str, Values]
    rates: dict[str, list[list[float]]]


COLUMNS = (
    *("gene", "rows", "most frequent", "race alone", "imputation", "map"),
    *("over race", "low", "high", "over imputation", "low", "high", "MCC over race", "low", "high"),
)


def warfarin_claims(splits: int, seed: int) -> tuple[list[Claim], list[Table]]:
    """Attacks a dose model in many splits; see the module.

    Returns:
        Claims and tables.
    """
    frame = load_warfarin(data_folder() / "iwpc-warfarin.csv")
    claims: list[Claim] = []
    rows: list[list[object]] = []
    doses: list[list[float]] = []
    for gene in GENES:
        tell(f"warfarin: {gene}, {splits} splits")
        survey = Survey.of(frame, "root_dose", gene)
        found = _warfarin_splits(frame, survey, splits, seed, doses)
        for who in ("members", "others"):
            gain = _gain(found.versus[who], seed)
            strict = _gain(found.imputed[who], seed)
            quality = pigeonhole(
                np.concatenate([found.attack[who], found.race[who]], axis=2),
                _mcc_gain,
                rng=np.random.default_rng(seed),
                draws=1000,
            )
            rates = [float(rate) for rate in np.mean(found.rates[who], axis=0)]
            rows.append([gene, who, *rates, *gain, *strict, *quality])
            if gene in BY_ACCURACY:
                claims += [
                    Claim(f"warfarin {gene}, {who}: accuracy over race alone", 0.05, gain.estimate),
                    Claim(f"warfarin {gene}, {who}: lower end of that", 0.0, gain.low),
                ]
            claims += [
                Claim(f"warfarin {gene}, {who}: MCC over race alone", 0.05, quality.estimate),
                Claim(f"warfarin {gene}, {who}: lower end of that", 0.0, quality.low),
            ]
    mean = np.mean(doses, axis=0)
    dose = [[float(value) for value in mean]]
    return claims, [
        Table("Warfarin: genotypes from the stable dose", COLUMNS, rows),
        Table(
            "The dose model on others",
            ("R2 of the root", "mean error, mg a week", "within 20% of the dose"),
            dose,
        ),
    ]


def _warfarin_splits(
    frame: Any, survey: Survey, splits: int, seed: int, doses: list[list[float]]
) -> Warfarin:
    found = Warfarin({}, {}, {}, {}, {})
    for split, (members, others, public) in enumerate(
        survey.splits(splits, seed, (0.5, 0.25, 0.25))
    ):
        model = dose_model().fit(
            frame.iloc[members].drop(columns="root_dose"), frame["root_dose"].iloc[members]
        )
        target = SklearnTableTarget(model, survey.schema)
        prior = ConditionalPrior(survey.candidates, survey.rows[public], ["race"])
        errors = errors_on(target, survey.rows[members], survey.response[members])
        imputer = Imputer(
            survey.candidates, survey.rows[public], response=survey.response[public], seed=seed
        )
        posterior = posterior_of(MapAttack(), target, prior, survey.rows, survey.response, errors)
        guesses = [
            np.full(len(survey.rows), np.bincount(survey.truth[public]).argmax()),
            prior.probabilities(survey.rows).argmax(axis=1),
            imputer.probabilities(survey.rows, survey.response).argmax(axis=1),
            posterior.argmax(axis=1),
        ]
        hits = np.stack(guesses) == survey.truth
        for who, places in (("members", members), ("others", others)):
            _tally(found, survey, who, (split, splits), places, guesses, hits)
        doses.append(_dose_error(target, survey, others))
    return found


def _tally(
    found: Warfarin,
    survey: Survey,
    who: str,
    split: tuple[int, int],
    places: Places,
    guesses: list[Places],
    hits: NDArray[np.bool_],
) -> None:
    """Adds the hits and the confusions of one split of so many."""
    k, n = len(survey.candidates), len(survey.rows)
    for store, guess in ((found.attack, guesses[3]), (found.race, guesses[1])):
        confusions = store.setdefault(who, np.zeros((split[1], n, k * k)))
        confusions[split[0], places, survey.truth[places] * k + guess[places]] = 1
    for store, baseline in ((found.versus, 1), (found.imputed, 2)):
        counts = store.setdefault(who, np.zeros((split[1], n, 2)))
        counts[split[0], places, 0] = 1
        counts[split[0], places, 1] = hits[3, places].astype(int) - hits[baseline, places]
    found.rates.setdefault(who, []).append(hits[:, places].mean(axis=1).tolist())


def _gain(counts: Values, seed: int) -> Interval:
    return pigeonhole(
        counts, lambda cells: cells[:, 1] / cells[:, 0], rng=np.random.default_rng(seed)
    )


def _mcc_gain(cells: Values) -> Values:
    """Returns the MCC of the first half of the cells less that of the second."""
    ours, theirs = np.split(cells, 2, axis=1)
    side = round(ours.shape[1] ** 0.5)
    return mcc(ours.reshape(-1, side, side)) - mcc(theirs.reshape(-1, side, side))


def _dose_error(target: TableTarget, survey: Survey, places: Places) -> list[float]:
    predicted, true = target.predict(survey.rows[places]), survey.response[places]
    explained = 1 - float(((true - predicted) ** 2).sum() / ((true - true.mean()) ** 2).sum())
    off = np.abs(predicted**2 - true**2)
    return [explained, float(off.mean()), float((off <= 0.2 * true**2).mean())]
