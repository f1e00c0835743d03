"""Attacks on tables by the names that plans use."""

from __future__ import annotations

from typing import Any

from darkroom.named import make_named
from darkroom.tables.attacks.base import TableAttack
from darkroom.tables.attacks.csmia import CsmiaAttack
from darkroom.tables.attacks.lomia import LomiaAttack
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.attacks.tree_confusion import TreeConfusionAttack
from darkroom.tables.attacks.tree_counts import TreeCountsAttack

TABLE_ATTACKS: dict[str, type[TableAttack]] = {
    attack.name: attack
    for attack in (MapAttack, TreeCountsAttack, TreeConfusionAttack, CsmiaAttack, LomiaAttack)
}


def make_table_attack(name: str, parameters: dict[str, Any]) -> TableAttack:
    """Builds an attack on tables from a plan's words.

    Args:
        name: One of :data:`TABLE_ATTACKS`.
        parameters: Fields of the attack's class; the others keep their defaults.

    Raises:
        PlanError: If there is no such attack or parameter, or a value is wrong.
    """
    return make_named("attack on tables", TABLE_ATTACKS, name, parameters)
