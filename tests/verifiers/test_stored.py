"""Templates that are stored already, in every form in which they may come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.needs import benched
from tests.verifiers.conftest import write_photos
from tests.verifiers.test_job import PLAN, write_attributes

from darkroom.auditing.progress import Reporter
from darkroom.errors import DataError
from darkroom.kinds import load_job
from darkroom.verifiers.job import VerifierJob
from darkroom.verifiers.targets.stored import read_store

NAMES = ("ada", "eve", "zoe")
ROWS = np.arange(12.0).reshape(3, 4)
PLACES = [2, 0, 1]  # the order in which a store has them


def npz(path: Path) -> None:
    np.savez(path, templates=ROWS[PLACES], ids=np.array(NAMES)[PLACES])


def columns(path: Path) -> None:
    table = pd.DataFrame(ROWS[PLACES]).assign(id=np.array(NAMES)[PLACES])
    table.columns = table.columns.map(str)
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)


def lists(path: Path) -> None:
    rows = [json.dumps(row.tolist()) for row in ROWS[PLACES]]
    pd.DataFrame({"id": np.array(NAMES)[PLACES], "template": rows}).to_csv(path, index=False)


def folder(path: Path) -> None:
    path.mkdir()
    for name, row in zip(NAMES, ROWS, strict=True):
        np.save(path / f"{name}.npy", row)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npz", npz),
        ("a.npy", lambda path: np.save(path, ROWS)),
        ("a.csv", columns),
        ("b.csv", lists),
        ("a.parquet", columns),
        ("folder", folder),
    ],
)
def test_every_form_gives_the_same(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    if name.endswith("parquet"):
        benched("pyarrow")
    write(tmp_path / name)
    store = read_store(tmp_path / name, NAMES)
    assert store.people.tolist() == [0, 1, 2]
    assert store.templates == pytest.approx(ROWS)


def test_others_are_left_out_and_several_of_a_person_stay(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", templates=ROWS, ids=["eve", "else", "eve"])
    store = read_store(tmp_path / "a.npz", ["eve"])
    assert store.people.tolist() == [0, 0]
    assert store.templates == pytest.approx(ROWS[[0, 2]])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: np.savez(path, templates=ROWS, ids=["ada", "eve", "x"]), "no template of 'z"),
        (lambda path: np.savez(path, templates=ROWS[0], ids=NAMES), "one row of two numbers"),
        (lambda path: np.savez(path, templates=ROWS * np.nan, ids=NAMES), "NaN or infinite"),
        (lambda path: np.savez(path, rows=ROWS), "no stored templates"),
        (lambda path: path.write_bytes(b"PK"), "no stored templates"),
    ],
)
def test_what_is_wrong_is_one_line(
    write: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    write(tmp_path / "a.npz")
    with pytest.raises(DataError) as told:
        read_store(tmp_path / "a.npz", NAMES)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    write_photos(tmp_path)
    write_attributes(tmp_path)
    one = PLAN.format(out="runs").replace("[leak]\ntemplates = 3\n", "")
    (tmp_path / "plan.toml").write_text(one)
    return tmp_path


def test_a_plan_of_stored_templates(planned: Path, tmp_path: Path) -> None:
    first = load_job(planned / "plan.toml", Reporter(shown=False))
    assert isinstance(first, VerifierJob)
    assert first.subject.embedding is not None
    templates = first.subject.embedding.store.templates
    names = [f"person-{number}" for number in range(6)]
    np.savez(tmp_path / "store.npz", templates=templates * 3, ids=names)
    text = (planned / "plan.toml").read_text()
    path = tmp_path / "store.npz"
    (planned / "stored.toml").write_text(
        text.replace("[private]", f'templates = "{path.as_posix()}"\n[private]')
    )
    found = load_job(planned / "stored.toml", Reporter(shown=False))
    assert isinstance(found, VerifierJob)
    assert found.subject.impostor_scores == pytest.approx(first.subject.impostor_scores)
    np.savez(path, templates=templates[:, :-1], ids=names)
    with pytest.raises(DataError, match=r"have 23 numbers, and .* makes 24"):
        load_job(planned / "stored.toml", Reporter(shown=False))
