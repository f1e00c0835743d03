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
from darkroom.text.real.secrets_file import read_secrets
from darkroom.text.targets.base import LanguageTarget, Sampling, free
from darkroom.text.targets.transformers import load_transformers
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

CONTINUATIONS = (1, 2, 5)
"""How many an attacker draws, where that is tried out: numbers that divide all draws."""

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
    if not quick:
        claims += _phones(inputs, people, cell.details.secrets)
    return claims, _table(cell, len(people))


def _phones(inputs: Path, people: Sequence[Personal], rows: Sequence[SecretRecord]) -> list[Claim]:
    """Compares near misses of a phone number, which are many, with enumeration."""
    target = load_transformers(inputs / "fine-tune", batch=512)
    secrets = read_secrets(inputs / "secrets.jsonl")
    pairs = list(zip(secrets, people, rows, strict=True))
    phones = [one for one in pairs if one[0].type == "phone"]
    by_heart = next(one for one, _, row in phones if row.exposure and row.exposure.surprise < 1)
    never = next(one for one, person, _ in phones if person.known == "nobody")
    claims = []
    for one, known in ((by_heart, True), (never, False)):
        before, after = one.prompts[0]
        place = NearPlace(before, after, one.secret)
        claims += near_claims(target, place, "a phone number", by_heart=known)
    return claims


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


def near_claims(
    target: LanguageTarget, place: NearPlace, what: str, *, by_heart: bool
) -> list[Claim]:
    """Compares the mass of all that at most two characters part from a secret with enumeration.

    Args:
        target: The model.
        place: The secret in its place. Without a text behind it, characters are changed alone,
            which makes fewer candidates.
        what: What the secret is.
        by_heart: Whether the model knows it by heart, or never saw it.
    """
    goal = near_goal(place, 2)
    every = [goal.secrets.at(index) for index in range(goal.secrets.size)]
    view = LanguageView(target, target.access, QueryLedger(1))
    spot = Places(view).of(goal, [place.secret])
    whole = float(np.exp2(-_surprises(target, spot, every)).sum())
    (bound,) = near_masses(target, [place], distance=2, rows=200)
    known = "known by heart" if by_heart else "never seen"
    text = f"near misses of {what} {known}, bound over mass of {len(every):,} candidates"
    claims = [Claim(text, 1 + 1e-6, bound / whole, at_most=True)]
    if by_heart:
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
    rng, hits = np.random.default_rng([seed, 13]), []
    for start in range(0, drawn, AT_ONCE):
        prompts = [canary.before] * min(AT_ONCE, drawn - start)
        length = len(canary.secret) + 1
        texts = target.sample(prompts, length, Sampling(), rng, free())
        hits += [text.startswith(canary.secret) for text in texts]
    exact, claims = 2.0**-surprise, []
    for n in CONTINUATIONS:
        # An attacker who draws n has the secret if any of them is it.
        got = np.array(hits).reshape(-1, n).max(axis=1)
        low, high = clopper_pearson(int(got.sum()), len(got), 0.999)[1:]
        p = discoverable(exact, n)
        text = f"({n}, p)-discoverable: exact p outside the 99.9% interval of {drawn:,} draws"
        claims.append(Claim(text, 0, max(low - p, p - high, 0.0), at_most=True))
    return claims
