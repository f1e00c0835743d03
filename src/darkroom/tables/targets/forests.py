"""The structure of models that are made of decision trees, whoever grew them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.imports import library

Floats = NDArray[np.float64]


class Forest(NamedTuple):
    """The trees of a model.

    Attributes:
        counts: For each tree, how many training rows reached each of its places, ``(places,)``:
            its nodes, or its leaves alone. Of XGBoost, the sum of their second derivatives, which
            is a count where a number is predicted by least squares.
        totals: For each tree, how many reached its root.
        values: For each tree, what it predicts at each place, ``(places, outputs)``.
        leaves: Takes a prepared table, and returns the place that each row reaches in each tree,
            ``(n, trees)``.
    """

    counts: tuple[Floats, ...]
    totals: tuple[float, ...]
    values: tuple[Floats, ...]
    leaves: Callable[[Any], NDArray[np.int64]]


def forest_of(model: Any) -> Forest | None:
    """Returns the trees of a fitted model of scikit-learn, XGBoost, LightGBM or CatBoost.

    Args:
        model: The estimator, or the library's own booster.

    Returns:
        ``None`` for a model that is not made of trees.
    """
    home = {one.__module__.partition(".")[0] for one in type(model).__mro__}
    if "xgboost" in home:
        return _xgboost(model)
    if "lightgbm" in home:
        return _lightgbm(model)
    if "catboost" in home:
        return _catboost(model)
    if hasattr(model, "_predictors") and hasattr(model, "_bin_mapper"):
        return _histogram(model)
    return _grown(model)


def _grown(model: Any) -> Forest | None:
    """Returns scikit-learn's decision trees, forests of them and gradient boosting."""
    if not hasattr(model, "apply"):
        return None
    estimators = [model] if hasattr(model, "tree_") else getattr(model, "estimators_", None)
    if estimators is None:
        return None
    flat = np.asarray(estimators, dtype=object).ravel().tolist()
    if not all(hasattr(one, "tree_") for one in flat):
        return None
    trees = [one.tree_ for one in flat]

    def leaves(table: Any) -> NDArray[np.int64]:
        if hasattr(table, "tocsr"):
            matrix = table.tocsr().astype(np.float32)
        else:
            matrix = np.ascontiguousarray(table, dtype=np.float32)
        # Straight to the trees: a booster's own apply warns of names its trees do not have.
        return np.stack([tree.apply(matrix) for tree in trees], axis=1)

    counts = [np.asarray(tree.n_node_samples, np.float64) for tree in trees]
    values = [np.asarray(tree.value[:, 0], np.float64) for tree in trees]
    return _forest(counts, [float(one[0]) for one in counts], values, leaves)


def _histogram(model: Any) -> Forest:
    """Returns the trees of scikit-learn's histogram boosting."""
    trees = [tree for grown in model._predictors for tree in grown]
    # The same trees with the number of each node as what it predicts.
    numbered = []
    for tree in trees:
        nodes = tree.nodes.copy()
        nodes["value"] = np.arange(len(nodes))
        numbered.append(type(tree)(nodes, tree.binned_left_cat_bitsets, tree.raw_left_cat_bitsets))

    def leaves(table: Any) -> NDArray[np.int64]:
        known, places = model._bin_mapper.make_known_categories_bitsets()
        matrix = model._preprocess_X(table, reset=False)
        reached = [
            tree.predict(matrix, known_cat_bitsets=known, f_idx_map=places, n_threads=1)
            for tree in numbered
        ]
        return np.stack(reached, axis=1).astype(np.int64)

    counts = [tree.nodes["count"].astype(np.float64) for tree in trees]
    values = [tree.nodes["value"][:, None] for tree in trees]
    return _forest(counts, [float(one[0]) for one in counts], values, leaves)


def _xgboost(model: Any) -> Forest | None:
    xgboost = library("xgboost", "a model of XGBoost")
    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    try:
        dumped = booster.get_dump(with_stats=True, dump_format="json")
    except ValueError:  # a linear booster
        return None
    if not dumped or "nodeid" not in dumped[0]:
        return None
    counts, values = [], []
    for text in dumped:
        nodes = _listed(json.loads(text))
        counts.append(_placed({number: one["cover"] for number, one in nodes.items()}))
        values.append(
            _placed({number: one.get("leaf", 0.0) for number, one in nodes.items()})[:, None]
        )

    def leaves(table: Any) -> NDArray[np.int64]:
        rows = xgboost.DMatrix(table, enable_categorical=True)
        reached = np.asarray(booster.predict(rows, pred_leaf=True))
        return reached.reshape(len(reached), -1).astype(np.int64)

    return _forest(counts, [float(one[0]) for one in counts], values, leaves)


def _listed(node: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Returns all nodes under a node of XGBoost's dump, by number."""
    found, left = {}, [node]
    while left:
        one = left.pop()
        found[one["nodeid"]] = one
        left += one.get("children", [])
    return found


def _placed(values: dict[int, float]) -> Floats:
    """Returns values by their place; XGBoost leaves numbers out where it has pruned."""
    found = np.zeros(max(values) + 1)
    found[list(values)] = list(values.values())
    return found


def _lightgbm(model: Any) -> Forest:
    booster = getattr(model, "booster_", model)
    counts, values = [], []
    for tree in booster.dump_model()["tree_info"]:
        found = _leaves_under(tree["tree_structure"])
        counts.append(
            _placed({one.get("leaf_index", 0): one.get("leaf_count", 1) for one in found})
        )
        values.append(_placed({one.get("leaf_index", 0): one["leaf_value"] for one in found}))

    def leaves(table: Any) -> NDArray[np.int64]:
        reached = np.asarray(booster.predict(table, pred_leaf=True))
        return reached.reshape(len(reached), -1).astype(np.int64)

    columns = [one[:, None] for one in values]
    return _forest(counts, [float(one.sum()) for one in counts], columns, leaves)


def _leaves_under(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the leaves under a node of LightGBM's dump."""
    found, left = [], [node]
    while left:
        one = left.pop()
        if "leaf_value" in one:
            found.append(one)
        else:
            left += [one["left_child"], one["right_child"]]
    return found


def _catboost(model: Any) -> Forest:
    ends = np.cumsum(model.get_tree_leaf_counts())[:-1]
    weights = np.asarray(model.get_leaf_weights(), np.float64)
    values = np.asarray(model.get_leaf_values(), np.float64).reshape(len(weights), -1)
    counts = np.split(weights, ends)

    def leaves(table: Any) -> NDArray[np.int64]:
        return np.asarray(model.calc_leaf_indexes(table), np.int64)

    return _forest(counts, [float(one.sum()) for one in counts], np.split(values, ends), leaves)


def _forest(
    counts: Sequence[Floats],
    totals: Sequence[float],
    values: Sequence[Floats],
    leaves: Callable[[Any], NDArray[np.int64]],
) -> Forest:
    return Forest(tuple(counts), tuple(totals), tuple(values), leaves)
