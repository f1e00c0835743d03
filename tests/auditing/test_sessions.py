"""What a process makes while another makes what all of them wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from darkroom.auditing.job import Session
from darkroom.auditing.progress import Reporter
from darkroom.errors import DataError
from darkroom.files import leased
from darkroom.images.job import ImageJob
from darkroom.kinds import load_job

MORE = """
[[attack]]
name = "mi-face"
steps = 3
prior = "generator"

[[attack]]
name = "mi-face"
steps = 4
prior = "eigenfaces"
"""


class BenchedError(Exception):
    """The judges are asked for."""


@pytest.fixture
def made(plan_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a session makes of a plan of two priors, in order, until it asks for judges."""
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text() + MORE)
    found: list[str] = []

    def fit_prior(self: ImageJob, cell: Any, *arguments: Any) -> None:
        found.append(cell.prior.name)
        if cell.prior.name == "generator":
            raise DataError("too few photos")
        kept = self.prior_shelf(cell).folder
        assert kept is not None
        (kept / f"prior-{cell.prior.name}-0123.npz").touch()

    def bench(self: ImageJob, *arguments: Any) -> None:
        raise BenchedError

    monkeypatch.setattr(ImageJob, "fit_prior", fit_prior)
    monkeypatch.setattr(ImageJob, "bench", bench)
    return found


def begin(folder: Path) -> Path:
    """Begins the first cell until it asks for judges; returns where what is made is kept."""
    job = load_job(folder / "plan.toml", Reporter(shown=False))
    keys = job.keys("1")
    with pytest.raises(BenchedError):
        Session(job, keys, Reporter(shown=False)).run(keys[0], keys)
    kept: Path = job.plan.shelves.shared.folder or folder
    return kept


@pytest.mark.medium
def test_priors_of_all_cells_are_fitted_while_others_make_judges(
    plan_folder: Path, made: list[str]
) -> None:
    kept = begin(plan_folder)
    assert made == []  # nobody makes judges, so this process does
    kept.mkdir(parents=True)
    with leased(kept / "judges-0123.lease"):
        begin(plan_folder)
        # What is wrong with one, its own cell will say.
        assert made == ["mean", "eigenfaces", "generator"]
        begin(plan_folder)
        assert made == ["mean", "eigenfaces", "generator", "generator"]  # others are kept
        made.clear()
        (kept / "prior-eigenfaces-0123.npz").unlink()
        with leased(kept / "prior-eigenfaces-4567.lease"):  # somebody else fits it
            begin(plan_folder)
        assert made == ["generator"]
    made.clear()
    begin(plan_folder)
    assert made == []  # nobody makes judges any more


@pytest.mark.medium
def test_nothing_more_is_fitted_once_judges_are_there(
    plan_folder: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = begin(plan_folder)
    kept.mkdir(parents=True)
    with leased(kept / "judges-0123.lease") as lease:
        assert lease is not None

        def fit_prior(self: ImageJob, cell: Any, *arguments: Any) -> None:
            made.append(cell.prior.name)
            (kept / "judges-0123.lease").unlink()

        monkeypatch.setattr(ImageJob, "fit_prior", fit_prior)
        begin(plan_folder)
    assert made == ["mean"]
