"""What is told by templates that leaked, plain and protected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.claims import Claim, Table, tell
from benchmarks.verifiers.worlds import World
from darkroom.demo.people.employees import attributes_of
from darkroom.verifiers.measures.finding import Found, found_with_key, found_without_key
from darkroom.verifiers.measures.leaked import Enrolled, told_attributes
from darkroom.verifiers.measures.linking import linkage, unlinkability
from darkroom.verifiers.protection.base import Floats, Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.rotation import Rotation
from darkroom.verifiers.protection.verifier import ProtectedVerifier
from darkroom.verifiers.targets.embedding import Store
from darkroom.verifiers.targets.metrics import unit

PEOPLE = 300
KEYS = (11, 12)
PROTECTIONS: tuple[Protection, ...] = (
    Plain(),
    BinarisedHash(),
    Rotation(),
    PolyProtect(overlap=0),
    PolyProtect(overlap=4),
)


def store_claims(world: World, seed: int) -> tuple[list[Claim], list[Table]]:
    """Finds people behind templates, and templates of one person in two stores.

    The store has strangers of the world, whom the attacker never saw: one photo of each is
    enrolled, and another is the candidate.
    """
    tell("finding people behind stored templates")
    strangers = world.subject.strangers
    assert strangers is not None
    embedding = world.subject.embedding
    assert embedding is not None
    encoder = embedding.encoder
    templates = unit(encoder.templates(strangers.images))
    first, second = templates[strangers.numbers == 0], templates[strangers.numbers == 1]
    stored, candidates, others = first[:PEOPLE], second[:PEOPLE], first[PEOPLE:]
    people = np.arange(len(stored))
    found = _searched(stored, candidates, others)
    finding = Table(
        f"Rank of the right person for one leaked template, among {len(stored)}",
        (
            *("protection", "attacker", "first", "low", "high"),
            *("median rank", "bits", "low", "high"),
        ),
        [[*name, *_row(one)] for name, one in found.items()],
    )
    linking = Table(
        "Two stores with different keys: linkable from 0 to 1 (D-sys), and templates renewed",
        ("protection", "D-sys", "mated accepted at 1% after renewal"),
        [[named(one), *_linked(one, stored, candidates, people)] for one in PROTECTIONS],
    )
    numbers = strangers.people[strangers.numbers == 0][:PEOPLE]
    attributes = Table(
        f"Attributes told from one leaked template, of {len(stored)} people",
        ("protection", "attacker", "attribute", "right", "low", "high", "by a guess"),
        _told(world, stored, numbers, seed),
    )
    return _claims(found, stored, candidates), [finding, linking, attributes]


def _told(world: World, stored: Floats, numbers: np.ndarray, seed: int) -> list[list[object]]:
    """Tells sex, glasses and beard of rendered people, whose truth is known."""
    embedding, public = world.subject.embedding, world.subject.public
    assert embedding is not None
    known = unit(embedding.encoder.templates(public.images))
    everybody = attributes_of(int(numbers.max()) + 1, role="bystanders", seed=seed)
    theirs = {name: [values[one] for one in numbers] for name, values in everybody.items()}
    strangers = attributes_of(int(public.people.max()) + 1, role="strangers", seed=seed)
    plain = embedding.enrolling(Store(stored, np.arange(len(stored))))
    enrolled = Enrolled(stored, stored, np.arange(len(stored)), known, public.people)
    lines: list[list[object]] = []
    for protection in PROTECTIONS:
        for key_known in (True, False) if protection != Plain() else (True,):
            kept = replace(protection, key_known=key_known)
            verifier = ProtectedVerifier(plain, kept, KEYS[0])
            told = told_attributes(
                verifier, enrolled, theirs, strangers, np.random.default_rng([seed, 11])
            )
            attacker = "key known" if key_known else "key not known"
            lines += [
                [named(protection), attacker, one.name, *one.right, one.guessed.estimate]
                for one in told
            ]
    return lines


def _searched(stored: Floats, candidates: Floats, others: Floats) -> dict[tuple[str, str], Found]:
    """Returns where the right person stands, by protection and by what the attacker knows."""
    found, people = dict[tuple[str, str], Found](), np.arange(len(stored))
    for protection in PROTECTIONS:
        name = named(protection)
        known = found_with_key(protection, stored, candidates, people, KEYS[0])
        found[name, "key known"] = known
        for pairs in (0, 10, 50) if protection != Plain() else ():
            found[name, f"{pairs} known pairs"] = found_without_key(
                protection, stored, candidates, people, KEYS[0], pairs=pairs, others=others
            )
    return found


def _claims(found: dict[tuple[str, str], Found], stored: Floats, candidates: Floats) -> list[Claim]:
    people = np.arange(len(stored))
    plain, rotated = (_linked(one, stored, candidates, people)[0] for one in (Plain(), Rotation()))

    def first(name: str, attacker: str, bar: float, *, at_most: bool = False) -> Claim:
        text = f"store: {name}, {attacker}: its person comes first"
        return Claim(text, bar, found[name, attacker].first.estimate, at_most)

    poly = "polyprotect(overlap=0)"
    return [
        first("plain", "key known", 0.8),
        first("rotation", "0 known pairs", 0.05, at_most=True),
        first("rotation", "50 known pairs", 0.8),
        first(poly, "key known", 0.5),
        first(poly, "0 known pairs", 0.05, at_most=True),
        Claim("store: plain templates are linkable (D-sys)", 0.9, plain),
        Claim("store: rotated templates are not (D-sys)", 0.2, rotated, at_most=True),
    ]


def named(protection: Protection) -> str:
    """Returns what a table calls a protection."""
    overlap = getattr(protection, "overlap", None)
    return protection.name if overlap is None else f"{protection.name}(overlap={overlap})"


def _row(found: Found) -> list[object]:
    return [*found.first, found.median, *found.bits]


def _linked(
    protection: Protection, stored: Floats, candidates: Floats, people: np.ndarray
) -> tuple[float, float]:
    mated, others = linkage(protection, stored, candidates, people, keys=KEYS)
    threshold = np.quantile(others, 0.99)
    return unlinkability(mated, others), float((mated >= threshold).mean())
