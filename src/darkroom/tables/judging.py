"""The audit's own side: what guesses without the model are worth, and what the model adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval, clopper_pearson, newcombe
from darkroom.tables.measures.attributes import Measures, confusion_of, measure
from darkroom.tables.measures.paired import difference_of
from darkroom.tables.measures.subgroups import calibration, compare, groups_of
from darkroom.tables.priors.counts import marginals
from darkroom.tables.priors.imputation import Imputer, Model
from darkroom.tables.schema import Rows
from darkroom.tables.subject import TableSubject, Who

Posterior = NDArray[np.float64]

DRAWS = 2000


@dataclass(frozen=True)
class TableBench:
    """The baselines of a run.

    Attributes:
        imputed: What imputation says of members and others, ``(n, candidates)`` each.
        usual: What the frequencies alone say.
        imputer: Which model imputes.
        seed: For intervals that are drawn.
    """

    imputed: dict[Who, Posterior]
    usual: dict[Who, Posterior]
    imputer: str
    seed: int


def set_up_table_bench(subject: TableSubject, seed: int, model: Model = "auto") -> TableBench:
    """Trains the imputation model on public rows and asks it about private ones.

    It gets everything that the attacker knows of a record, the response included, save the model.

    Args:
        subject: The rows.
        seed: Decides the imputation model and intervals that are drawn.
        model: Which imputation model.
    """
    public = subject.data.public
    imputer = Imputer(
        subject.candidates, public.rows, response=public.response, model=model, seed=seed
    )
    shares = marginals(subject.candidates, public.rows, 1.0)
    parts: tuple[Who, ...] = ("members", "others")
    records = {who: subject.records(who) for who in parts}
    return TableBench(
        {who: imputer.probabilities(*records[who]) for who in parts},
        {who: np.tile(shares, (len(records[who].known), 1)) for who in parts},
        imputer.chosen,
        seed,
    )


def judge_part(
    subject: TableSubject, bench: TableBench, who: Who, posterior: Posterior, prior: Posterior
) -> dict[str, Any] | None:
    """Returns what the report says of members or of others; ``None`` where there are none.

    Args:
        subject: The truth.
        bench: The baselines.
        who: Which rows.
        posterior: The attack's, ``(n, candidates)``.
        prior: What the attacker believed before asking, ``(n, candidates)``.
    """
    if not len(posterior):
        return None
    truth, candidates = subject.truth(who), len(subject.candidates)
    guessers = {
        "attack": posterior,
        "imputation": bench.imputed[who],
        "prior": prior,
        "most_frequent": bench.usual[who],
    }
    hits = {name: subject.hits(who, guess) for name, guess in guessers.items()}
    rng = np.random.default_rng([bench.seed, 7])
    advantage = compare(hits["attack"], hits["imputation"])
    groups = groups_of(hits["attack"], hits["imputation"], subject.divisions(who))
    found = {
        "n": len(truth),
        "success": {name: _rate(right)._asdict() for name, right in hits.items()},
        "advantage": advantage._asdict(),
        "over_strongest": _over_strongest(hits),
        "groups": [_plain(group._asdict()) for group in groups],
        "calibration": [
            _plain(one._asdict()) for one in calibration(posterior.max(axis=1), hits["attack"])
        ],
        "measures": None,
        "confusion": None,
        "numeric": None,
    }
    if subject.tolerance is not None:
        found["calibration"] = []
        found["numeric"] = _numeric(subject, bench, who, posterior, rng)
        return found
    found["measures"] = {
        name: _measures(measure(truth, guess, positive=subject.positive, rng=rng))
        for name, guess in guessers.items()
    }
    found["confusion"] = (
        confusion_of(truth, posterior.argmax(axis=1), candidates).astype(int).tolist()
    )
    return found


def difference(members: dict[str, Any], others: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns how much more the attack gets of members than of others."""
    if others is None:
        return None
    inside, outside = (_counts(part) for part in (members, others))
    gains = [Interval(**part["advantage"]) for part in (members, others)]
    return {
        "success": newcombe(*inside, *outside)._asdict(),
        "advantage": difference_of(*gains)._asdict(),
    }


def worst_off(members: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the group of members whom the model exposes most, corrected for having looked."""
    groups = members["groups"]
    if not groups:
        return None
    worst = groups[0]
    where = f"{worst['column']}: {worst['value']}"
    right, usual = (round(worst[name]["estimate"] * worst["n"]) for name in ("success", "baseline"))
    sentence = (
        f"Members of the group {where} are worst off: the attack is right about {right} of "
        f"{worst['n']}, imputation about {usual} (p = {worst['p_value']:.2g}; "
        f"{worst['p_adjusted']:.2g} after Holm's correction for {len(groups)} groups)."
    )
    return {
        "name": where,
        "p_value": worst["p_value"],
        "p_adjusted": worst["p_adjusted"],
        "groups": len(groups),
        "sentence": sentence,
    }


def _over_strongest(hits: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """Returns the advantage over whichever baseline is right most often on these very rows."""
    strongest = max(("imputation", "prior", "most_frequent"), key=lambda name: hits[name].mean())
    return {"name": strongest, **compare(hits["attack"], hits[strongest])._asdict()}


def _rate(hits: NDArray[np.bool_]) -> Interval:
    return clopper_pearson(int(hits.sum()), len(hits))


def _counts(part: dict[str, Any]) -> tuple[int, int]:
    return round(part["success"]["attack"]["estimate"] * part["n"]), part["n"]


def _measures(found: Measures) -> dict[str, Any]:
    return {
        name: None if value is None else value._asdict() for name, value in found._asdict().items()
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Turns intervals among values into plain mappings."""
    return {
        name: value._asdict() if isinstance(value, Interval) else value
        for name, value in fields.items()
    }


def _numeric(
    subject: TableSubject,
    bench: TableBench,
    who: Who,
    posterior: Posterior,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Returns how far off guesses at a number are; intervals by bootstrap over rows."""
    true = subject.part(who).rows[:, subject.candidates.positions[0]]
    middle, low, high = subject.candidates.summary(posterior)
    off = np.abs(middle - true)
    imputed = np.abs(subject.candidates.summary(bench.imputed[who])[0] - true)
    return {
        "tolerance": subject.tolerance,
        "error": _mean(off, rng)._asdict(),
        "imputation_error": _mean(imputed, rng)._asdict(),
        "gain": _mean(imputed - off, rng)._asdict(),
        "coverage": _rate((true >= low) & (true <= high))._asdict(),
        "level": 0.9,
        "width": float(np.median(high - low)),
    }


def _mean(values: Rows, rng: np.random.Generator) -> Interval:
    """Returns a mean with its bootstrap interval."""
    means = np.array(
        [values[rng.integers(len(values), size=len(values))].mean() for _ in range(DRAWS)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))
