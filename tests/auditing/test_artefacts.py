"""What is made once is kept whole, runs no code when it is read, and is made by one process."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.auditing.packing import CannotPack, Packed, pack, unpack
from darkroom.statistics.intervals import Interval

ROWS = np.random.default_rng(0).normal(size=(40, 3))
SIGNS = (ROWS[:, 0] > 0).astype(int)


def again(value: object) -> Any:
    return unpack(pack(value))


def test_containers_arrays_and_records_come_back_as_they_were() -> None:
    array = np.arange(6.0).reshape(2, 3)
    value = {
        "a": (1, array, array),
        3: [Interval(0.1, 0.0, 0.2), np.float64(2.5), {1, 2}, OrderedDict(a=1), None, True],
        "turned": array.T,
        "part": array[:, ::2],
        "type": np.dtype("float32"),
    }
    back = again(value)
    np.testing.assert_equal(back, value)
    assert back["a"][1] is back["a"][2]
    assert type(back[3][0]) is Interval
    assert type(back[3][1]) is np.float64
    assert back["turned"].flags.f_contiguous


def test_modules_and_estimators_answer_as_before() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()).eval()
    images = torch.rand(2, 1, 8, 8)
    back = again(net)
    assert torch.equal(back(images), net(images))
    assert all(parameter.requires_grad for parameter in back.parameters())
    assert back.training is False
    for estimator in (RandomForestClassifier(5), LinearDiscriminantAnalysis()):
        fitted = estimator.fit(ROWS, SIGNS)
        np.testing.assert_array_equal(again(fitted).predict_proba(ROWS), fitted.predict_proba(ROWS))


@pytest.mark.parametrize(
    "value",
    [lambda: 1, np.random.default_rng(0), Path("x"), np.array([None]), Path, object()],
    ids=["function", "generator", "path", "objects", "class", "stranger"],
)
def test_what_is_nobody_s_business_is_not_packed(value: object) -> None:
    with pytest.raises(CannotPack):
        pack([value])


@pytest.mark.parametrize(
    "structure",
    [
        {"object": ["subprocess", "Popen"], "state": None},
        {"object": ["darkroom.runs", "sys.modules"], "state": None},
        {"object": ["darkroom.files", "os.system"], "state": None},
        {"named": ["builtins", "eval"], "items": []},
        {"array": 7, "scalar": False},
        {"nothing": []},
    ],
)
def test_a_structure_from_elsewhere_is_refused(structure: object) -> None:
    with pytest.raises(ValueError, match=r"packed|class"):
        unpack(Packed(json.dumps(structure), []))


def test_it_is_made_once_and_all_have_the_same(tmp_path: Path) -> None:
    shelf, made = Artefacts(tmp_path / "kept"), []

    def make() -> Any:
        made.append(1)
        return Interval(0.5, 0.0, 1.0), ROWS

    got: list[Any] = []
    threads = [
        threading.Thread(target=lambda: got.append(shelf.made("judges", ["x", 1], make)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    for interval, rows in got:
        assert interval == Interval(0.5, 0.0, 1.0)
        np.testing.assert_array_equal(rows, ROWS)
    shelf.made("judges", ["y", 1], make)
    assert len(made) == 2
    kept = list((tmp_path / "kept").iterdir())
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert len(kept) == 2


def test_without_a_shelf_and_for_what_cannot_be_packed_it_is_made_each_time(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> object:
        made.append(1)
        return Path("x")

    for shelf in (NOWHERE, Artefacts(tmp_path)):
        for _ in range(2):
            shelf.made("own", [], make)
    assert len(made) == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("waits", [True, False])
def test_what_cannot_be_read_is_made_again_and_kept(tmp_path: Path, waits: bool) -> None:
    shelf, made = Artefacts(tmp_path), []

    def make() -> Any:
        made.append(1)
        return ROWS

    shelf.made("judges", [], make, waits=waits)
    (file,) = tmp_path.glob("*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    for _ in range(2):
        np.testing.assert_array_equal(shelf.made("judges", [], make, waits=waits), ROWS)
    assert len(made) == 2
    assert file.read_bytes() == whole


def test_what_holds_a_class_that_is_there_no_more_is_made_again(tmp_path: Path) -> None:
    shelf = Artefacts(tmp_path)
    shelf.made("judges", [], lambda: Interval(0.1, 0.0, 0.2))
    (file,) = tmp_path.iterdir()
    with np.load(file) as archive:
        moved = str(archive["structure"]).replace("darkroom.statistics", "darkroom.elsewhere")
        np.savez(file, **{name: archive[name] for name in archive.files} | {"structure": moved})
    again = shelf.made("judges", [], lambda: Interval(0.3, 0.2, 0.4))
    assert again == Interval(0.3, 0.2, 0.4)


def test_what_may_be_impossible_to_keep_is_made_by_everybody_at_once(tmp_path: Path) -> None:
    shelf, together = Artefacts(tmp_path), threading.Barrier(3, timeout=20)

    def make(value: object) -> object:
        together.wait()  # would break if one waited for another
        return value

    def all_make(value: object) -> None:
        def one() -> None:
            shelf.made("own", [], lambda: make(value), waits=False)

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_make(Path("x"))
    assert list(tmp_path.iterdir()) == []
    all_make(ROWS)
    assert not together.broken
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".npz"
    np.testing.assert_array_equal(shelf.made("own", [], lambda: None, waits=False), ROWS)


def test_one_process_alone_is_told_to_prepare_what_is_missing(tmp_path: Path) -> None:
    shelf = Artefacts(tmp_path / "cache")  # nobody has made it yet
    with shelf.alone("prior-mean") as first, shelf.alone("prior-mean") as second:
        assert (first, second) == (True, False)
        shelf.made("prior-mean", ["decisive"], lambda: 1)
    with shelf.alone("prior-mean") as again, NOWHERE.alone("prior-mean") as nowhere:
        assert (again, nowhere) == (False, False)
