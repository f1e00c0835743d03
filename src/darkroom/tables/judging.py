"""The audit's own side: what guesses without the model are worth, and what the model adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Bits, Difference, Share, WorstOff
from darkroom.auditing.record import Interval as IntervalRecord
from darkroom.statistics.intervals import Interval, clopper_pearson, difference_of, newcombe
from darkroom.tables.candidates import Belief
from darkroom.tables.measures.attributes import confusion_of, measure
from darkroom.tables.measures.bits import gained, surprise
from darkroom.tables.measures.subgroups import Guesses, calibration, compare, groups_of, least_sure
from darkroom.tables.priors.counts import marginals
from darkroom.tables.priors.imputation import Imputer, Model
from darkroom.tables.record import (
    Bin,
    Group,
    Guessers,
    Measures,
    Members,
    MoreOfMembers,
    Numeric,
    OverStrongest,
    Part,
)
from darkroom.tables.schema import Rows
from darkroom.tables.subject import TableSubject, Who

DRAWS = 2000


@dataclass(frozen=True)
class TableBench:
    """The baselines of a run.

    Attributes:
        imputed: What imputation says of members and others.
        usual: What the frequencies alone say.
        imputer: Which model imputes.
        seed: For intervals that are drawn.
    """

    imputed: dict[Who, Belief]
    usual: dict[Who, Belief]
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
        {who: imputer.belief(*records[who]) for who in parts},
        {who: Belief(np.tile(shares, (len(records[who].known), 1))) for who in parts},
        imputer.chosen,
        seed,
    )


def judge_members(
    subject: TableSubject, bench: TableBench, posterior: Belief, prior: Belief
) -> Members:
    """Returns what the report says of members.

    Args:
        subject: The truth.
        bench: The baselines.
        posterior: The attack's.
        prior: What the attacker believed before asking.
    """
    part = _judge(subject, bench, "members", posterior, prior)
    hits = subject.hits("members", posterior)
    confusion, bins = None, []
    if subject.tolerance is None:
        truth = subject.truth("members")
        counts = confusion_of(truth, posterior.chances.argmax(axis=1), len(subject.candidates))
        confusion = counts.astype(int).tolist()
        bins = calibration(posterior.chances.max(axis=1), hits)
    guess, divisions = posterior.chances.argmax(axis=1), subject.divisions("members")
    groups = least_sure(
        [
            groups_of(hits, subject.hits("members", one), divisions, Guesses(guess, one.chances))
            for one in (bench.imputed["members"], prior, bench.usual["members"])
        ]
    )
    return Members(
        **dict(part),
        groups=tuple(map(Group.of, groups)),
        calibration=tuple(map(Bin.of, bins)),
        confusion=confusion,
    )


def bits_of(
    subject: TableSubject, bench: TableBench, belief: Belief, prior: Belief, *, calibrated: bool
) -> Bits:
    """Returns how far an attack narrows down the sensitive values of members.

    It is measured from the guess without the model to which the truth is least surprising.

    Args:
        subject: The truth.
        bench: The baselines.
        belief: The attack's.
        prior: What the attacker believed before asking.
        calibrated: Whether it is meant as probabilities.
    """
    truth = subject.truth("members")
    guesses = (bench.imputed["members"], prior, bench.usual["members"])
    found = gained(
        truth,
        belief.chances,
        min((one.chances for one in guesses), key=lambda chances: surprise(truth, chances)),
        calibrated=calibrated,
        rng=np.random.default_rng([bench.seed, 9]),
    )
    return Bits.of(found)


def judge_others(
    subject: TableSubject, bench: TableBench, posterior: Belief, prior: Belief
) -> Part | None:
    """Returns what the report says of others; see :func:`judge_members`.

    Returns:
        ``None`` where there are none.
    """
    if not len(posterior.chances):
        return None
    return _judge(subject, bench, "others", posterior, prior)


def _judge(
    subject: TableSubject, bench: TableBench, who: Who, posterior: Belief, prior: Belief
) -> Part:
    """Returns what is said of members and others alike."""
    guesses = {
        "attack": posterior,
        "imputation": bench.imputed[who],
        "prior": prior,
        "most_frequent": bench.usual[who],
    }
    hits = {name: subject.hits(who, guess) for name, guess in guesses.items()}
    rng = np.random.default_rng([bench.seed, 7])
    over_strongest = _over_strongest(hits)
    measures, numeric = None, None
    if subject.tolerance is None:
        truth = subject.truth(who)
        found = {
            name: Measures.of(measure(truth, guess.chances, positive=subject.positive, rng=rng))
            for name, guess in guesses.items()
        }
        measures = Guessers[Measures](**found)
    else:
        numeric = _numeric(subject, bench, who, posterior, subject.tolerance, rng)
    return Part(
        n=len(posterior.chances),
        lost=int((hits[over_strongest.name] & ~hits["attack"]).sum()),
        success=Guessers[Share](**{name: Share.of(_rate(right)) for name, right in hits.items()}),
        advantage=Difference.of(compare(hits["attack"], hits["imputation"])),
        over_strongest=over_strongest,
        measures=measures,
        numeric=numeric,
    )


def difference(members: Part, others: Part | None) -> MoreOfMembers | None:
    """Returns how much more the attack gets of members than of others."""
    if others is None:
        return None
    inside, outside = (Interval(**dict(part.advantage)) for part in (members, others))
    return MoreOfMembers(
        success=Difference.of(newcombe(*_counts(members), *_counts(others))),
        advantage=IntervalRecord.of(difference_of(inside, outside)),
    )


def worst_off(groups: Sequence[Group]) -> WorstOff | None:
    """Returns the group of members whom the model exposes most, corrected for having looked.

    Args:
        groups: The most exposed first.
    """
    if not groups:
        return None
    worst = groups[0]
    where = f"{worst.column}: {worst.value}"
    right, usual = (round(rate.estimate * worst.n) for rate in (worst.success, worst.baseline))
    sentence = (
        f"Members of the group {where} are worst off: the attack is right about {right} of "
        f"{worst.n}, a guess without the model about {usual} (p = {worst.p_value:.2g}; "
        f"{worst.p_adjusted:.2g} after Holm's correction for {len(groups)} groups)."
    )
    return WorstOff(name=where, p_adjusted=worst.p_adjusted, sentence=sentence)


def _over_strongest(hits: dict[str, NDArray[np.bool_]]) -> OverStrongest:
    """Returns the advantage over whichever baseline is right most often on these very rows."""
    strongest = max(("imputation", "prior", "most_frequent"), key=lambda name: hits[name].mean())
    gained = compare(hits["attack"], hits[strongest])
    return OverStrongest(name=strongest, **gained._asdict())


def _rate(hits: NDArray[np.bool_]) -> Interval:
    return clopper_pearson(int(hits.sum()), len(hits))


def _counts(part: Part) -> tuple[int, int]:
    return round(part.success.attack.estimate * part.n), part.n


def _numeric(
    subject: TableSubject,
    bench: TableBench,
    who: Who,
    posterior: Belief,
    tolerance: float,
    rng: np.random.Generator,
) -> Numeric:
    """Returns how far off guesses at a number are; intervals by bootstrap over rows."""
    true = subject.part(who).rows[:, subject.candidates.positions[0]]
    middle, low, high = subject.candidates.summary(posterior)
    off = np.abs(middle - true)
    imputed = np.abs(subject.candidates.summary(bench.imputed[who])[0] - true)
    return Numeric(
        tolerance=tolerance,
        error=_mean(off, rng),
        imputation_error=_mean(imputed, rng),
        gain=_mean(imputed - off, rng),
        coverage=Share.of(_rate((true >= low) & (true <= high))),
        level=0.9,
        width=float(np.median(high - low)),
    )


def _mean(values: Rows, rng: np.random.Generator) -> IntervalRecord:
    """Returns a mean with its bootstrap interval, widened to hold it."""
    means = np.array(
        [values[rng.integers(len(values), size=len(values))].mean() for _ in range(DRAWS)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    mean = float(values.mean())
    return IntervalRecord(estimate=mean, low=min(mean, float(low)), high=max(mean, float(high)))
