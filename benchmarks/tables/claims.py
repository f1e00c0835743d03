"""Attribute inference: two papers on their own data, speed against a peer, cost in rows."""

from __future__ import annotations

from benchmarks.claims import Outcome
from benchmarks.tables.models import model_table
from benchmarks.tables.papers import steak_claims
from benchmarks.tables.spam import spam_table
from benchmarks.tables.speed import cost_claims, peer_claims
from benchmarks.tables.warfarin import warfarin_claims


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures everything; see the module.

    Args:
        quick: Whether to take 5 splits instead of 20, fewer rows where speed is compared, and a
            tenth of the largest table.
        seed: Decides everything random.

    Raises:
        DataError: If a table is absent.
    """
    splits = 5 if quick else 20
    steak, steak_tables = steak_claims(splits, seed)
    warfarin, warfarin_tables = warfarin_claims(splits, seed)
    peer, peer_tables = peer_claims(quick=quick, seed=seed)
    cost, cost_tables = cost_claims(quick=quick, seed=seed)
    return Outcome(
        [*steak, *warfarin, *peer, *cost],
        [
            *steak_tables,
            *warfarin_tables,
            *peer_tables,
            *cost_tables,
            model_table(seed),
            spam_table(seed),
        ],
    )
