"""Every judge keeps its promises, and one from outside joins the panel's vote."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from torch import Tensor

import darkroom
from darkroom.auditing.progress import Reporter
from darkroom.errors import DarkroomError
from darkroom.kinds import load_job
from darkroom.named import describe
from darkroom.testing.images.judges import check_judge
from darkroom.vision.judges.base import Judge, Labels, Recogniser, Report
from darkroom.vision.judges.recognisers import JUDGES, own_judges

OWN = """\
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.vision.judges.base import Judge


@dataclass(frozen=True)
class NearestMean(Judge):
    name: ClassVar[str] = "nearest mean"

    def fit(self, images, people, *, seed, on_progress=None):
        known = np.unique(people)
        means = np.stack([images[people == one].mean(0).numpy().ravel() for one in known])

        def recognise(rows):
            apart = ((rows.flatten(1).numpy()[:, None] - means) ** 2).sum(axis=2)
            return known[apart.argmin(axis=1)]

        return recognise
"""


@pytest.mark.medium
@pytest.mark.parametrize("judge", own_judges(150), ids=describe)
def test_every_judge_keeps_its_promises(judge: Judge) -> None:
    check_judge(judge)


def test_every_judge_has_a_name() -> None:
    assert [judge.name for judge in own_judges()] == list(JUDGES.own)


@pytest.fixture
def own(plan_folder: Path) -> Path:
    (plan_folder / "own_judges.py").write_text(OWN)
    sys.modules.pop("own_judges", None)
    plan = plan_folder / "plan.toml"
    extra = 'steps = 8\nextra = [{load = "own_judges:NearestMean"}]'
    plan.write_text(plan.read_text().replace("steps = 8", extra))
    return plan


@pytest.mark.medium
def test_a_judge_of_ones_own_joins_the_vote(own: Path) -> None:
    run = darkroom.audit_plan(own, progress=False)
    details = run.results["cells"][0]["details"]
    assert details["judge_names"][-1] == "nearest mean"
    assert len(details["judge_names"]) == len(details["judges"]["each"]) == 4
    for person in details["people"]:
        assert len(person["votes"]) == 4
        assert person["success"] == (person["plausible"] and sum(person["votes"]) >= 3)
    assert "nearest mean" in run.report.read_text()


def test_another_panel_makes_other_cells(own: Path) -> None:
    def keys() -> list[str]:
        sys.modules.pop("own_judges", None)
        return load_job(own, Reporter(shown=False)).keys("1")

    one = keys()
    (own.parent / "own_judges.py").write_text(OWN + "# another\n")
    two = keys()
    text = own.read_text()
    own.write_text(text.replace('extra = [{load = "own_judges:NearestMean"}]', ""))
    assert len({*one, *two, *keys()}) == 3 * len(one)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ('["linear discriminant"]', "judge linear discriminant is in the panel already"),
        ('["linear discriminat"]', "no judge is called 'linear discriminat': did you mean"),
        ('[{load = "own_judges:np"}]', "own_judges has no callable np"),
        ('[{load = "own_judges:dataclass"}]', "own_judges:dataclass is no judge"),
        ('[{load = "own_judges:NearestMean", k = 3}]', "judge nearest mean has no parameter 'k'"),
        ("[{}]", "judges.extra.0: give a name, or load"),
    ],
)
def test_what_is_no_judge_is_one_clear_line(own: Path, extra: str, expected: str) -> None:
    own.write_text(own.read_text().replace('[{load = "own_judges:NearestMean"}]', extra))
    with pytest.raises(DarkroomError) as caught:
        load_job(own, Reporter(shown=False))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Biased(Judge):
    """Breaks one promise."""

    name: ClassVar[str] = "biased"

    lie: str = ""

    def fit(
        self, images: Tensor, people: Labels, *, seed: int, on_progress: Report | None = None
    ) -> Recogniser:
        if self.lie == "global":
            np.random.rand(1)  # noqa: NPY002
        known = np.unique(people)
        means = np.stack([images[people == one].mean(0).numpy().ravel() for one in known])
        if self.lie == "photos":
            images *= 0.5

        def recognise(rows: Tensor) -> Labels:
            apart = ((rows.flatten(1).numpy()[:, None] - means) ** 2).sum(axis=2)
            named: Labels = known[apart.argmin(axis=1)]
            if self.lie == "rows" and len(rows) > 1:
                named = named[::-1]
            if self.lie == "strangers":
                named = np.abs(named)
            return named + 7 * (self.lie == "numbers")

        return recognise


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("global", "draws from a global source of randomness"),
        ("photos", "changes the photos that it learns from"),
        ("rows", "names others in a batch than one by one"),
        ("strangers", "of strangers for people"),
        ("numbers", "names people whom it never saw"),
    ],
)
def test_a_broken_promise_is_named(lie: str, sentence: str) -> None:
    check_judge(Biased())
    with pytest.raises(AssertionError, match=sentence):
        check_judge(Biased(lie))
