"""One leaked template of each person against several."""

from __future__ import annotations

import numpy as np

from benchmarks.claims import Claim, Table, tell
from benchmarks.verifiers.courses import follow
from benchmarks.verifiers.stores import KEYS, named
from benchmarks.verifiers.worlds import ENROL, World
from darkroom.verifiers.attacks.template import TemplateAttack
from darkroom.verifiers.leaks import enrolled_templates
from darkroom.verifiers.many_leaked import leaking
from darkroom.verifiers.measures.finding import Found
from darkroom.verifiers.measures.leaked import Enrolled, leaked_together
from darkroom.verifiers.plan import LeakSection
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.rotation import Rotation
from darkroom.verifiers.subject import VerifierSubject, behind

_KINDS: tuple[tuple[Protection, bool], ...] = (
    (Plain(key_known=True), False),
    (Plain(key_known=True), True),
    (BinarisedHash(bits=64, key_known=True), True),
    (PolyProtect(overlap=0, key_known=True), True),
    (Rotation(), True),
)
"""Protections, and whether the store was renewed."""


def leak_claims(world: World, seed: int) -> tuple[list[Claim], list[Table]]:
    """Finds people by one template of each and by four, and makes pictures of them.

    Without renewal the four are of four photos, in one store. With it they are one template, from
    four stores with keys of their own: copies, where nothing protects.
    """
    tell("one leaked template against several")
    enrolled = enrolled_templates(world.subject)
    assert enrolled is not None
    lines, found = list[list[object]](), dict[tuple[str, bool], list[Found]]()
    for protection, renewed in _KINDS:
        found[protection.name, renewed], rows = _against(world, enrolled, protection, renewed, seed)
        lines += rows
    candidates = found["plain", False][0].candidates
    table = Table(
        f"Leaked templates of {len(world.subject.goals)} people, {candidates} candidates: by lot "
        f"{1 / candidates:.3f} first, and 0 bits",
        (
            *("protection", "attacker", "of several", "templates", "first", "low", "high"),
            *("median rank", "bits", "low", "high"),
            *("accepted", "shown", "picture's bits", "low", "high"),
        ),
        lines,
    )
    copy, copies = found["plain", True]
    blind, blinder = found["rotation", True]
    pictures = {(line[0], line[3]): float(str(line[-3])) for line in lines if line[2] == "stores"}
    poly = named(PolyProtect(overlap=0))
    return [
        Claim("leak: copies of a plain template: bits gained", 0.0, _more(copy, copies), True),
        Claim("leak: rotated, four unknown keys: bits gained", 0.1, _more(blind, blinder), True),
        Claim(
            "leak: polynomials under four known keys: bits gained by the picture",
            1.0,
            pictures[poly, ENROL] - pictures[poly, 1],
        ),
    ], [table]


def _against(
    world: World, enrolled: Enrolled, protection: Protection, renewed: bool, seed: int
) -> tuple[list[Found], list[list[object]]]:
    """Returns ranks by one template and by all, and the lines of the table."""
    whole = leaking(world.subject, LeakSection(templates=ENROL, renewed=renewed))
    target, lines = whole.embedding, list[list[object]]()
    assert target is not None
    assert target.leak is not None
    ranks = leaked_together(protection, target.leak, enrolled, KEYS[0])
    kept = whole if isinstance(protection, Plain) else behind(whole, protection, KEYS[0])
    attacker = "key known" if protection.key_known else "key not known"
    for count, rank in zip((1, ENROL), ranks, strict=True):
        some = kept.with_leak(target.leak.first(count))
        what = "stores" if renewed else "photos"
        line = [named(protection), attacker, what, count, *rank.first, rank.median, *rank.bits]
        lines.append([*line, *_likeness(world, some, seed)])
    return ranks, lines


def _more(one: Found, several: Found) -> float:
    return several.bits.estimate - one.bits.estimate


def _likeness(world: World, subject: VerifierSubject, seed: int) -> list[object]:
    """Decodes the templates that have leaked, and shows the pictures to verifier and judges."""
    course = follow(world._replace(subject=subject), TemplateAttack(), (1500,), seed)
    mark = course.marks[-1]
    people = np.float64(mark.people)
    return [float(mark.hard / people), float(mark.shown / people), *mark.bits]
