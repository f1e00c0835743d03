"""A demo's inputs are made once for a plan, and again for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.auditing.progress import Reporter
from darkroom.demo.inputs import audit_made
from darkroom.errors import PlanError

PLAN = 'mistake = "{plan}, {out}"\nseed = {seed}\n'


def test_inputs_are_made_once_and_again_for_another_seed(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(inputs: Path, reporter: Reporter) -> None:
        del reporter
        inputs.mkdir(exist_ok=True)
        made.append(inputs)

    for seed, times in ((0, 1), (0, 1), (1, 2)):
        with pytest.raises(PlanError, match="mistake"):
            audit_made("some", PLAN, make, out=tmp_path, seed=seed, progress=False)
        assert made == [tmp_path / "some-inputs"] * times
    assert "seed = 1" in (tmp_path / "some-inputs" / "plan.toml").read_text()


def test_what_was_not_made_whole_is_made_again(tmp_path: Path) -> None:
    tried: list[Path] = []

    def fail(inputs: Path, reporter: Reporter) -> None:
        del reporter
        tried.append(inputs)
        raise PlanError("no room")

    for _ in range(2):
        with pytest.raises(PlanError, match="no room"):
            audit_made("some", PLAN, fail, out=tmp_path, seed=0, progress=False)
    assert len(tried) == 2
