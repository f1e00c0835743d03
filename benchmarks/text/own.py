"""Real secrets, near misses and how often they are written; part of ``benchmarks text``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, Table
from darkroom.auditing.progress import Reporter
from darkroom.demo.secrets import Personal, Size, make_secret_inputs
from darkroom.ledger import QueryLedger
from darkroom.runs import audit_plan
from darkroom.statistics.intervals import clopper_pearson
from darkroom.text.attacks.base import Places
from darkroom.text.canaries import Canary
from darkroom.text.exposure.discoverable import discoverable
from darkroom.text.exposure.measure import path_surprises
from darkroom.text.exposure.near import NearPlace, near_goal, near_masses
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.real.record import RealCell, SecretRecord
from darkroom.text.targets.base import LanguageTarget, Sampling, free
from darkroom.text.targets.view import LanguageView

PLAN = """\
[run]
name = "own"
out = "runs"

[target]
kind = "transformers"
load = "fine-tune"

[private]
secrets = "secrets.jsonl"
base = { kind = "transformers", load = "base" }
prompts = ["given"]
decoys = 400
near_rows = 40

[[attack]]
name = "best-first"
rows = 60
"""

AT_ONCE = 5_000
"""Paths, or continuations, that are read side by side."""


def own_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], Table]:
    """Audits a fine-tune of which half of the secrets are in the corpus.

    Args:
        folder: An empty one.
        quick: Whether to take a tenth of the secrets.
        seed: Decides everything random.
    """
    size = Size(each=10) if quick else Size(each=40, steps=320)
    inputs = folder / "own"
    people = make_secret_inputs(inputs, seed=seed, reporter=Reporter(), size=size)
    plan = inputs / "plan.toml"
    plan.write_text(PLAN.replace('"runs"', f'"{(folder / "runs").as_posix()}"'))
    run = audit_plan(plan, progress=False)
    (cell,) = run.cells
    assert isinstance(cell, RealCell)
    told = _told(run.folder, people)
    claims = _evidence_claims(people, cell.details.secrets)
    claims.append(Claim("secrets and owners in any byte written", 0, told, at_most=True))
    return claims, _table(cell, len(people))


def _evidence_claims(people: Sequence[Personal], rows: Sequence[SecretRecord]) -> list[Claim]:
    """Returns what is found of secrets by who has learned them."""

    def of(known: str) -> list[SecretRecord]:
        return [row for row, one in zip(rows, people, strict=True) if one.known == known]

    def evident(some: Sequence[SecretRecord]) -> int:
        return sum(row.p_value is not None and row.p_value < 0.05 for row in some)

    learned = [row for row in of("fine-tune") if row.exposure and row.exposure.surprise < 1]
    others, of_base = of("nobody"), of("base")
    extracted = float(np.mean([row.extracted for row in learned]))
    heart = f"{len(rows)} secrets, those known by heart (surprise below a bit; {len(learned)})"
    return [
        Claim(f"{heart}: share extracted", 1.0, extracted),
        Claim(f"{heart}: share with p below 0.05", 0.9, evident(learned) / len(learned)),
        Claim(
            f"{len(of_base)} secrets that the base alone knew: with p below 0.05",
            0,
            evident(of_base),
            at_most=True,
        ),
        Claim(
            f"{len(others)} secrets that nobody knew: share with p below 0.05",
            0.05,
            evident(others) / len(others),
            at_most=True,
        ),
    ]


def _table(cell: RealCell, secrets: int) -> Table:
    """Returns a row a type."""
    rows = [
        [
            kind.type,
            kind.n,
            f"{kind.extracted.estimate:.2f} ({kind.extracted.low:.2f}-{kind.extracted.high:.2f})",
            "" if kind.before is None else f"{kind.before.estimate:.2f}",
            "" if kind.evident is None else f"{kind.evident.estimate:.2f}",
            "" if kind.exposure is None else f"{kind.exposure:.1f} of {kind.most:.1f}",
            *(f"{one.verbatim.estimate:.2f}" for one in kind.discoverable),
        ]
        for kind in cell.details.types
    ]
    columns = (
        *("type", "secrets", "extracted (95%)", "by the base", "evident, corrected"),
        *("exposure, median bits", "in 1", "in 100", "in 10,000 continuations"),
    )
    return Table(f"Real secrets: {secrets} of five types, half in the corpus", columns, rows)


def _told(folder: Path, people: Sequence[Personal]) -> int:
    """Counts the secrets and owners that are in some file of a run."""
    content = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    words = {word for one in people for word in (one.secret, one.owner)}
    spelled = {word: {word.encode(), json.dumps(word)[1:-1].encode()} for word in words}
    return sum(
        any(form in some for form in forms for some in content) for forms in spelled.values()
    )


def near_claims(target: LanguageTarget, known: Canary, unknown: Canary) -> list[Claim]:
    """Compares the mass of near misses with enumeration.

    Args:
        target: The model.
        known: A canary that it knows by heart.
        unknown: One that it never saw.
    """
    claims = []
    for canary, name in ((known, "known by heart"), (unknown, "never seen")):
        # Without a text behind it, characters are changed alone, which makes fewer candidates.
        for after in ("", canary.after):
            place = NearPlace(canary.before, after, canary.secret)
            goal = near_goal(place, 2)
            view = LanguageView(target, target.access, QueryLedger(1))
            spot = Places(view).of(goal)
            every = [goal.secrets.at(index) for index in range(goal.secrets.size)]
            whole = float(np.exp2(-_surprises(target, spot, every)).sum())
            (bound,) = near_masses(target, [place], distance=2, rows=200)
            text = f"near misses of a secret {name}, bound over mass of {len(every):,} candidates"
            claims.append(Claim(text, 1 + 1e-6, bound / whole, at_most=True))
            if canary is known:
                claims.append(Claim(f"{text}: at least", 0.5, bound / whole))
    return claims


def _surprises(
    target: LanguageTarget, spot: SecretTokens, every: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    parts = [every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE)]
    return np.concatenate([path_surprises(target, [spot], [part])[0] for part in parts])


def discoverable_claims(
    target: LanguageTarget, canary: Canary, surprise: float, *, seed: int, drawn: int
) -> list[Claim]:
    """Compares the exact probability of a secret with how often continuations have it.

    Args:
        target: The model.
        canary: One that comes sometimes.
        surprise: Of its secret, in bits.
        seed: Of the draws.
        drawn: How many continuations.
    """
    rng, hits = np.random.default_rng([seed, 13]), 0
    for start in range(0, drawn, AT_ONCE):
        prompts = [canary.before] * min(AT_ONCE, drawn - start)
        length = len(canary.secret) + 1
        texts = target.sample(prompts, length, Sampling(), rng, free())
        hits += sum(text.startswith(canary.secret) for text in texts)
    low, high = clopper_pearson(hits, drawn, 0.999)[1:]
    outside = max(low - 2.0**-surprise, 2.0**-surprise - high, 0.0)
    ten = [discoverable(share, 10) for share in (low, 2.0**-surprise, high)]
    return [
        Claim(f"exact probability outside the 99.9% interval of {drawn:,} draws", 0, outside, True),
        Claim(
            "(10, p)-discoverable: p outside the same interval",
            0,
            max(ten[0] - ten[1], ten[1] - ten[2], 0.0),
            at_most=True,
        ),
    ]
