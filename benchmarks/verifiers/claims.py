"""Verifiers of faces: what attacks get, beside what as many strangers get."""

from __future__ import annotations

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.verifiers.controls import exchanged, untrained
from benchmarks.verifiers.courses import COLUMNS, Course, follow
from benchmarks.verifiers.leaks import leak_claims
from benchmarks.verifiers.private import private_claims
from benchmarks.verifiers.stores import store_claims
from benchmarks.verifiers.worlds import FULL, QUICK, World, rendered
from darkroom.defenses.match_scores import MatchNoise, MatchRounding
from darkroom.defenses.pipeline import Pipeline
from darkroom.verifiers.attacks.decision import DecisionAttack
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.attacks.fixed import FixedAttack
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.attacks.template import TemplateAttack


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures everything; see the package.

    Args:
        quick: Whether there are fewer people, rows and defences.
        seed: Decides everything random.
    """
    world = rendered(QUICK if quick else FULL, seed)
    courses = attacked(world, quick, seed)
    claims = rendered_claims(courses[0])
    controls, recognising, untaught = untrained(world, seed, 300 if quick else 2000)
    swapped, exchange = exchanged(world, seed)
    stores, tables = store_claims(world, seed)
    leaks, against = leak_claims(world, seed)
    private, trained, taught = private_claims(world, quick=quick, seed=seed)
    claims += [*stores, *leaks, *private, *controls, *swapped]
    lines = [line for one in [*courses, *taught, *untaught] for line in one.rows()]
    title = "Rendered people, 64 x 64, forty enrolled: accepted and shown by rows"
    tables = [
        Table(title, COLUMNS, lines),
        *[*tables, *against, *trained, *recognising, *exchange],
    ]
    try:
        from benchmarks.verifiers.library import library_claims
    except ModuleNotFoundError:
        tell("dlib is not installed: left out")
        claims.append(Claim("dlib at its own threshold: accepted", 0.9, None))
        return Outcome(claims, tables)
    size = (3, 100, 1) if quick else (8, 600, 2)
    library, more = library_claims(*size, seed)
    return Outcome([*claims, *library], [*tables, *more])


def attacked(world: World, quick: bool, seed: int) -> list[Course]:
    """Runs every attack, and ``evolution`` behind defences."""
    rows = 600 if quick else 2000
    marks = (100, 300, 600, rows) if quick else (100, 300, 600, 1000, rows)
    first = follow(world, EvolutionAttack(rows=rows), marks, seed)
    behind = [MatchRounding(2)] if quick else [MatchRounding(2), MatchRounding(1), MatchNoise(0.05)]
    short = 300 if quick else rows
    defended = [
        follow(world, EvolutionAttack(rows=short), (300, short), seed, defense=Pipeline((defense,)))
        for defense in behind
    ]
    others = [
        follow(world, GradientAttack(), (500,), seed),
        follow(world, TemplateAttack(), (1500,), seed),
        follow(world, FixedAttack(), (100,), seed),
        follow(world, DecisionAttack(rows=rows), (300, rows), seed),
    ]
    return [first, *defended, *others]


def rendered_claims(course: Course) -> list[Claim]:
    """Returns what the design asks of ``evolution`` over undefended scores."""
    early, last = course.at(300), course.marks[-1]
    gained = early.advantage()
    return [
        Claim("rendered: accepted at 0.1% above the dictionary, 300 rows", 0.4, gained.estimate),
        Claim("rendered: lower end of that interval", 0.2, gained.low),
        Claim(
            f"rendered: people shown to the judges, {last.rows:,} rows",
            0.5,
            last.shown / last.people,
        ),
        Claim(f"rendered: bits among strangers, {last.rows:,} rows", 6.0, last.bits.estimate),
    ]
