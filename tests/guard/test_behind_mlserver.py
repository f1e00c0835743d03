"""The guard in front of a server that is not ours, against an attack that succeeds without it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.guard.holding import PER_DAY, SURE, measure
from benchmarks.remote.mlserver import MLServer, Model
from tests.images.targets.test_mlserver import model, python, server  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow


def test_ten_a_day_hold_an_attack_off_for_as_long_as_its_curve_says(
    model: Model,  # noqa: F811
    server: MLServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    held = measure(model, server, tmp_path)
    assert held.needed is not None, "without the guard the attack succeeds"
    assert np.median(held.alone[-1].confidence) >= SURE
    assert [one.asked for one in held.behind] == [one.asked for one in held.alone]
    # Noon to midnight is the first day, and each has ten rows and no more.
    assert held.rows <= PER_DAY * held.calendar_days
    assert held.waited == math.ceil(held.rows / PER_DAY) - 1
    assert held.reached is not None
    assert held.reached >= held.earliest
    one, hundred = held.days_with(1), held.days_with(100)
    assert one is not None
    assert hundred is not None
    assert one > 10
    assert one == pytest.approx(100 * hundred)
    assert held.hasty == PER_DAY
