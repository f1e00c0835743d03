"""All training defences for models of tables by name."""

from __future__ import annotations

from darkroom.named import Registry
from darkroom.tables.training.base import TableTraining, UndefendedTable
from darkroom.tables.training.private import PrivateForest, PrivateRegression
from darkroom.tables.training.trees import MinimumLeaf, Pruning

TABLE_TRAINING_DEFENSES: Registry[TableTraining] = Registry(
    "training defence",
    TableTraining,
    UndefendedTable,
    MinimumLeaf,
    Pruning,
    PrivateRegression,
    PrivateForest,
    group="darkroom.training_defenses",
)
