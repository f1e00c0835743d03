"""Wrong inputs to all commands end in one line; the full number is tried by the benchmark."""

from __future__ import annotations

import pytest
from benchmarks.reach.wrong.inputs import _wrong, faults


@pytest.mark.medium
def test_wrong_inputs_end_in_one_line_and_change_nothing() -> None:
    found, ended = faults(20, seconds=0)
    assert ended.total() >= 20
    assert found == []


def test_what_counts_as_a_fault() -> None:
    assert list(_wrong(2, "darkroom: no", [])) == []
    said = "Traceback (most recent call last)"
    assert list(_wrong(1, said, ["mine"])) == ["status 1", "a traceback", "changed mine"]
