"""Tests of ``results.json``: what is gathered, and what is refused."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]
from tests.support.records import of_kind

from darkroom.errors import RunError
from darkroom.images.record import ImageCell
from darkroom.report import collect, load_schema, write_results

if TYPE_CHECKING:
    from tests.report.conftest import RunFolder

Change = Callable[[dict[str, Any]], object]


@pytest.mark.medium
def test_the_schema_is_itself_valid() -> None:
    """A schema that is wrong would accept anything."""
    Draft202012Validator.check_schema(load_schema())


def test_collect_keeps_the_order_of_the_plan(run: RunFolder) -> None:
    """Cells come as ``run.json`` lists them, not as the file system does."""
    run.cells = [run.image_cell("zz"), run.image_cell("aa"), run.image_cell("mm")]
    document = collect(run.write())
    assert [cell.key for cell in document.cells] == ["zz", "aa", "mm"]
    written = document.model_dump(mode="json", by_alias=True)
    assert written["schema"] == "darkroom/results/2"
    assert set(written["run"]) == {"name", "seed", "versions", "machine"}
    assert written["cells"][0] == run.cell
    Draft202012Validator(load_schema()).validate(written)


def test_results_are_private_and_the_same_each_time(run: RunFolder) -> None:
    """The file is for its owner alone, and no temporary file stays behind."""
    folder = run.write()
    path = write_results(folder)
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert write_results(folder).read_bytes() == first
    assert json.loads(first) == collect(folder).model_dump(mode="json", by_alias=True)
    names = {entry.name for entry in folder.iterdir()}
    assert names == {"run.json", "plan.toml", "cells", "results.json"}


def test_unmeasured_rates_are_null(run: RunFolder) -> None:
    """Nothing tried is not the same as zero."""
    run.cell["judges"] = dict.fromkeys(run.cell["judges"])
    run.cell["confidence"] = {"median": None, "reached": None}
    run.cell["utility"] = {}
    (cell,) = collect(run.write()).cells
    assert of_kind(ImageCell, cell).judges.accuracy is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cell: cell.pop("baseline"), "baseline"),
        (lambda cell: cell.update(surprise=1), "surprise"),
        (lambda cell: cell.update(goals=0), "goals"),
        (lambda cell: cell.update(access="root"), "access"),
        (lambda cell: cell.update(kind="sound"), "kind"),
        (lambda cell: cell.update(key="other"), "key"),
        (lambda cell: cell["success"].update(high=1.01), "success"),
        (lambda cell: cell["success"].update(low=-0.1), "success"),
        (lambda cell: cell["success"].update(estimate=None), "success"),
        (lambda cell: cell["success"].update(low=0.9), "outside its interval"),
        (lambda cell: cell["advantage"].update(high=0.1), "outside its interval"),
        (lambda cell: cell["advantage"].update(low=-1.5), "advantage"),
        (
            lambda cell: cell["success"].update(estimate=float("nan")),
            "success.estimate: Input should be a finite",
        ),
        (
            lambda cell: cell.update(seconds=float("inf")),
            "seconds: Input should be a finite number",
        ),
        (lambda cell: cell["curve"][0].update(success=2), "curve"),
        (lambda cell: cell["curve"][0].update(least=0.0), "least"),
        (lambda cell: cell["curve"][0].pop("low"), "low"),
        (lambda cell: cell["judges"].pop("accuracy"), "accuracy"),
        (lambda cell: cell["queries"].update(total=-1), "total"),
    ],
)
def test_a_damaged_cell_is_refused_in_one_line(run: RunFolder, change: Change, said: str) -> None:
    """The line names the file of the cell and what is wrong in it."""
    folder = run.write()
    path = folder / "cells" / "cell1" / "cell.json"
    cell = json.loads(path.read_text())
    change(cell)
    path.write_text(json.dumps(cell))
    with pytest.raises(RunError) as caught:
        collect(folder)
    message = str(caught.value)
    assert said in message
    assert "cell.json" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(schema="darkroom/run/9"),
        lambda record: record.update(cells=[]),
        lambda record: record.update(cells=["cell1", "cell1"]),
        lambda record: record.update(cells=["../../etc"]),
        lambda record: record.update(cells=[3]),
        lambda record: record.pop("run"),
        lambda record: record["run"].update(seed="zero"),
        lambda record: record["run"].pop("versions"),
    ],
)
def test_a_damaged_run_record_is_refused(run: RunFolder, change: Change) -> None:
    """``run.json`` decides which folders are read, so it is checked first."""
    folder = run.write()
    change(run.record)
    (folder / "run.json").write_text(json.dumps(run.record))
    with pytest.raises(RunError, match=r"run\.json"):
        collect(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["run.json", "cells/cell1/cell.json"])
def test_a_file_that_is_no_record_is_refused(run: RunFolder, name: str, content: bytes) -> None:
    """A file cut short by a full disk is a readable error, never a traceback."""
    folder = run.write()
    (folder / name).write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        collect(folder)


@pytest.mark.parametrize("name", ["run.json", "cells/cell1/cell.json"])
def test_a_missing_file_is_named(run: RunFolder, name: str) -> None:
    """The message says how to finish the run."""
    folder = run.write()
    (folder / name).unlink()
    with pytest.raises(RunError, match=r"missing.*--resume"):
        collect(folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A mistyped path is the commonest mistake."""
    with pytest.raises(RunError, match="missing"):
        collect(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_old_file(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while writing costs the new file, not the old one."""
    folder = run.write()
    path = write_results(folder)
    before = path.read_bytes()
    run.cell["seconds"] = 99.0
    run.write()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(RunError, match="No space left"):
        write_results(folder)
    assert path.read_bytes() == before
    assert not list(folder.glob(".results*"))
