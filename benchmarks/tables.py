"""Attribute inference: two papers on their own data, speed against a peer, cost in rows."""

from __future__ import annotations

from benchmarks.claims import Outcome
from benchmarks.table_papers import steak_claims, warfarin_claims


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures everything; see the module."""
    steak, steak_tables = steak_claims(seed)
    warfarin, warfarin_tables = warfarin_claims(seed)
    return Outcome([*steak, *warfarin], [*steak_tables, *warfarin_tables])
