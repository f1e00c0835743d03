"""The same seed finds the same: small plans of each kind give the figures that they once gave.

After a change that is meant to change figures, ``python -m tests.same --write`` writes them anew;
say in the commit which changed and why. A wrong attack, defence, prior, judge or statistic shows
here as other figures, and so does a draw too many.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.same.decided import differences
from tests.same.running import PLANS, expected, run

# On other processors sums are rounded otherwise, which a search may follow elsewhere.
pytestmark = [
    pytest.mark.medium,
    pytest.mark.skipif(
        torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
        reason="the expected figures are those of x86-64 with AVX2",
    ),
]

QUICK = ("tables", "images")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all plans are written, each kind's once."""
    return tmp_path_factory.mktemp("same")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in PLANS]
)
def test_a_plan_gives_the_same_results(name: str, folder: Path) -> None:
    found = "\n".join(differences(expected(name), run(name, folder)))
    assert not found, f"{name}:\n{found}"
