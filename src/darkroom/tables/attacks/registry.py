"""Attacks on tables by the names that plans use."""

from __future__ import annotations

from darkroom.named import Registry
from darkroom.tables.attacks.auto import AutoAttack
from darkroom.tables.attacks.base import TableAttack
from darkroom.tables.attacks.csmia import CsmiaAttack
from darkroom.tables.attacks.lomia import LomiaAttack
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.attacks.score_map import ScoreMapAttack
from darkroom.tables.attacks.tree_confusion import TreeConfusionAttack
from darkroom.tables.attacks.tree_counts import TreeCountsAttack

TABLE_ATTACKS: Registry[TableAttack] = Registry(
    "attack",
    TableAttack,
    AutoAttack,
    MapAttack,
    ScoreMapAttack,
    TreeCountsAttack,
    TreeConfusionAttack,
    CsmiaAttack,
    LomiaAttack,
    group="darkroom.attacks",
)
