"""Everything that this package brings passes the checks that Darkroom's own parts pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from inversion_extras.numpy_linear import NumpyLinear
from inversion_extras.random_search import RandomSearch
from inversion_extras.smoothing import Smoothing

from darkroom.testing.defenses import check_output_defense
from darkroom.testing.images.attacks import check_attack
from darkroom.testing.images.targets import check_target


def test_random_search() -> None:
    """Two hundred rows are enough for the small model of the check."""
    check_attack(RandomSearch(rows=200))


def test_smoothing() -> None:
    """What its effect says is measured."""
    check_output_defense(Smoothing(0.3))


def test_numpy_linear(tmp_path: Path) -> None:
    """Any weights do: a target is asked whether it answers as it says."""
    weights = np.random.default_rng(0).normal(size=(64, 3))
    np.savez(tmp_path / "model.npz", weights=weights, bias=np.zeros(3))
    check_target(NumpyLinear(str(tmp_path / "model.npz"), [1, 8, 8]))
