"""What is told by templates that leaked, plain and protected."""

from __future__ import annotations

import numpy as np

from benchmarks.claims import Claim, Table, tell
from benchmarks.verifiers.worlds import World
from darkroom.verifiers.measures.finding import Found, found_with_key, found_without_key
from darkroom.verifiers.measures.linking import linkage, unlinkability
from darkroom.verifiers.protection.base import Floats, Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.rotation import Rotation
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


def store_claims(world: World) -> tuple[list[Claim], list[Table]]:
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
        ("protection", "attacker", "first", "low", "high", "median rank", "bits"),
        [[*name, *_row(one)] for name, one in found.items()],
    )
    linking = Table(
        "Two stores with different keys: linkable from 0 to 1 (D-sys), and templates renewed",
        ("protection", "D-sys", "mated accepted at 1% after renewal"),
        [[_named(one), *_linked(one, stored, candidates, people)] for one in PROTECTIONS],
    )
    return _claims(found, stored, candidates), [finding, linking]


def _searched(stored: Floats, candidates: Floats, others: Floats) -> dict[tuple[str, str], Found]:
    """Returns where the right person stands, by protection and by what the attacker knows."""
    found, people = dict[tuple[str, str], Found](), np.arange(len(stored))
    for protection in PROTECTIONS:
        name = _named(protection)
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


def _named(protection: Protection) -> str:
    overlap = getattr(protection, "overlap", None)
    return protection.name if overlap is None else f"{protection.name}(overlap={overlap})"


def _row(found: Found) -> list[object]:
    return [*found.first, found.median, found.bits]


def _linked(
    protection: Protection, stored: Floats, candidates: Floats, people: np.ndarray
) -> tuple[float, float]:
    mated, others = linkage(protection, stored, candidates, people, keys=KEYS)
    threshold = np.quantile(others, 0.99)
    return unlinkability(mated, others), float((mated >= threshold).mean())
