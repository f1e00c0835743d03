"""What the lab keeps of attacks that are over."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from tests.lab.conftest import Lab
from tests.lab.test_develop import judged

from darkroom.lab.develop.attack import LiveAttack
from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.events import Frame, Milestone

pytestmark = pytest.mark.slow

UPDATES = 3000
"""Ten minutes of five updates a second."""

WARM = 1000


def _resident() -> float:
    """Returns the megabytes that this process holds."""
    gc.collect()
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_as_many_updates_as_ten_minutes_have_grow_the_lab_by_less_than_50_megabytes(
    lab: Lab,
) -> None:
    judged(lab)
    updates, warm = 0, 0.0
    while updates < UPDATES:
        attack = LiveAttack(lab.studio, Choice(people=(1,), pace="full"))
        attack.begin()
        while attack.ended is None or not attack.join(0):
            told = attack.events()
            updates += sum(isinstance(one, Frame | Milestone) for one in told)
        if not warm and updates > WARM:
            warm = _resident()
    assert _resident() - warm < 50
