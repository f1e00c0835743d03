"""``python -m benchmarks verdict``: how often a verdict is wrong, on subjects of known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import NamedTuple

from benchmarks.claims import Claim, Outcome, Table
from benchmarks.verdict.bits import of_bits
from benchmarks.verdict.oracles import against_oracles
from benchmarks.verdict.subjects import Told
from benchmarks.verdict.trials import KINDS, Trial, run_trials, together, trials_of
from darkroom.statistics.intervals import clopper_pearson

Pair = tuple[Trial, Told]

POWER = 0.8

PLANTED = {
    "tables": "Planted in tables of 150 records",
    "text": "Planted in models of 6 canaries, each known with so many percent",
    "images": "Planted in classifiers of 16 people, each known with so many percent",
}


class Size(NamedTuple):
    """How much is audited.

    Attributes:
        null: Audits with nothing to find, of each kind.
        planted: Audits of each size of leak.
        known: The sizes, by kind: records of 150, or percent of people or of canaries.
        worlds: How many sets of rows, corpora and models the zoo has.
    """

    null: int
    planted: int
    known: Mapping[str, tuple[int, ...]]
    worlds: int


FULL = Size(
    null=70,
    planted=12,
    known={"tables": (10, 20, 30, 40), "text": (10, 20, 30), "images": (5, 10, 20)},
    worlds=2,
)
QUICK = Size(null=8, planted=4, known={"tables": (10, 30)}, worlds=1)


def run(*, quick: bool, seed: int) -> Outcome:
    """Audits subjects of every kind.

    Args:
        quick: Fewer audits under the null, and of planted leaks.
        seed: Decides all rows, photos and models.
    """
    size = QUICK if quick else FULL
    trials = [
        trial
        for kind in KINDS
        for group, arguments in (
            *(
                (group, (seed + world,))
                for world in range(size.worlds)
                for group in ("leaks", "sound", "misuses")
            ),
            ("null_cases", (size.null, seed)),
        )
        for trial in trials_of(kind, group, *arguments)
    ]
    for kind, sizes in size.known.items():
        for known in sizes:
            trials += trials_of(kind, "planted", known, size.planted, seed)
    found = list(run_trials(trials))
    figures = together((of_bits, against_oracles), seed, quick)
    power = [
        _power(kind, [pair for pair in found if pair[0][:2] == (kind, "planted")])
        for kind in size.known
    ]
    return Outcome(
        [
            *_of_nulls(found, quick=quick),
            *_of_subjects(found),
            *(claim for one in power for claim in _of_power(one, quick=quick)),
            *figures.claims,
        ],
        [_subjects(found), _nulls(found), *power, *figures.tables],
    )


def _of(found: Sequence[Pair], *groups: str) -> list[Told]:
    return [told for trial, told in found if trial.group in groups]


def _share(of: Sequence[bool]) -> float | None:
    return fmean(of) if of else None


def _of_nulls(found: Sequence[Pair], *, quick: bool) -> list[Claim]:
    """Returns what is claimed of audits with nothing to find."""
    nulls = _of(found, "null_cases")
    leaks = [told.outcome == "leak" for told in nulls]
    out = [told.outcome == "leak" and "stands out" in told.said for told in nulls]
    claims = [
        Claim(f"under the null, leak, of {len(nulls)} audits", 0.05, _share(leaks), at_most=True),
        Claim("under the null, somebody stands out", 0.05, _share(out), at_most=True),
    ]
    if quick:
        return claims
    for name, hits in (("leak", leaks), ("somebody stands out", out)):
        high = clopper_pearson(sum(hits), len(hits)).high
        claims.append(Claim(f"under the null, {name}, upper end", 0.09, high, at_most=True))
    return claims


def _of_subjects(found: Sequence[Pair]) -> list[Claim]:
    """Returns what is claimed of the zoo."""
    leaks = _of(found, "leaks")
    heart = [told.right for told in leaks if told.truth == "by heart"]
    misuses = _of(found, "misuses")
    silent = [told.outcome == "none shown" for told in misuses]
    others = _of(found, "leaks", "sound", "planted")
    nothing = [told.right for told in _of(found, "sound")]
    return [
        Claim(f"known by heart: leak, of {len(heart)} subjects", 1.0, _share(heart)),
        Claim(
            "half or one known: leak",
            0.8,
            _share([t.right for t in leaks if t.truth != "by heart"]),
        ),
        Claim("sound, nothing to find: none shown", 0.98, _share(nothing)),
        Claim(f"misuse: none shown, of {len(misuses)}", 0.0, _share(silent), at_most=True),
        Claim("misuse: cannot tell, or refused", 1.0, _share([t.right for t in misuses])),
        Claim("misuse: the right cause", 0.9, _share([t.explained for t in misuses])),
        Claim(
            f"sound: accused, of {len(others)}",
            0.02,
            _share([t.accused for t in others]),
            at_most=True,
        ),
    ]


def _power(kind: str, planted: Sequence[Pair]) -> Table:
    """Returns how often a leak of each size is found."""
    rows = []
    for known in sorted({trial.arguments[0] for trial, _ in planted}):
        told = [one for trial, one in planted if trial.arguments[0] == known]
        sizes = [one.advantage for one in told if one.advantage is not None]
        # It is what "no leak shown" may have missed: where a leak is shown, nothing was missed.
        least = [
            one.smallest for one in told if one.outcome == "none shown" and one.smallest is not None
        ]
        share = fmean(one.outcome == "leak" for one in told)
        rows.append((known, len(told), fmean(sizes), share, median(least) if least else None))
    columns = ("known by heart", "audits", "advantage", "leak", "smallest detectable")
    return Table(PLANTED[kind], columns, rows)


def _of_power(power: Table, *, quick: bool) -> list[Claim]:
    """Returns how far the smallest detectable advantage is from what audits detect."""
    if quick:
        return []
    sizes = [float(str(row[2])) for row in power.rows]
    shares = [float(str(row[3])) for row in power.rows]
    least = median(float(str(row[4])) for row in power.rows if row[4] is not None)
    found = _where(sizes, shares)
    off = None if found is None else abs(least - found)
    kind = next(kind for kind, title in PLANTED.items() if title == power.title)
    return [Claim(f"smallest detectable advantage, {kind}, off by", 0.05, off, at_most=True)]


def _where(sizes: Sequence[float], shares: Sequence[float]) -> float | None:
    """Returns the size at which four of five are found, between those tried; ``None`` above all."""
    before = (0.0, 0.0)
    for size, share in zip(sizes, shares, strict=True):
        if share >= POWER:
            rise = share - before[1]
            return before[0] + (size - before[0]) * (POWER - before[1]) / max(rise, 1e-9)
        before = (size, share)
    return None


def _subjects(found: Sequence[Pair]) -> Table:
    """Returns what was said of each subject of the zoo."""
    rows = [
        (told.kind, told.name, told.truth, told.outcome, ", ".join(told.causes), told.right)
        for told in _of(found, "leaks", "sound", "misuses")
    ]
    return Table("Subjects", ("kind", "subject", "truth", "verdict", "cause", "right"), rows)


def _nulls(found: Sequence[Pair]) -> Table:
    """Returns how often each kind cries wolf."""
    rows = []
    for kind in KINDS:
        told = [one for one in _of(found, "null_cases") if one.kind == kind]
        outcomes = [sum(one.outcome == name for one in told) for name in ("leak", "cannot tell")]
        rows.append((kind, len(told), *outcomes))
    return Table("Audits with nothing to find", ("kind", "audits", "leak", "cannot tell"), rows)
