"""Tables as people have them: files of spreadsheets and other libraries, and frames."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.reach.planted.tables import (
    INPUTS,
    leaks,
    plan_leaks,
    planted,
    together,
    write_plan,
)
from benchmarks.reach.rows import Row

Write = Callable[[pd.DataFrame, str], Any]


def rows() -> Iterator[Row]:
    """Yields every kind of table."""
    yield _file("pandas", "rows.parquet", lambda frame, path: frame.to_parquet(path))
    yield _file("pandas", "rows.feather", lambda frame, path: frame.to_feather(path))
    yield _file("Excel", "rows.xlsx", lambda frame, path: frame.to_excel(path, index=False))
    yield _csv("UTF-8 with a byte-order mark", encoding="utf-8-sig")
    yield _csv("decimal commas", sep=";", decimal=",", plan={"separator": '";"'})
    yield _csv("UTF-16", encoding="utf-16", way="set encoding, perhaps to 'utf-16'")
    yield _csv("UTF-16, as told", encoding="utf-16", plan={"encoding": '"utf-16"'})
    yield _csv("another separator", sep=";", way='separator = ";"')
    yield _csv("truth values", change=lambda frame: frame.assign(smoker=frame["smoker"] == 1))
    yield _csv("Windows' line ends", lineterminator="\r\n")
    yield Row("CSV", "100,000 columns", _wide, "name those that the model takes")
    yield _csv("a column that names every row", change=_with_names)
    yield _file("SPSS", "rows.sav", lambda _, path: Path(path).write_bytes(b"$FL2"), "as csv")
    yield Row("polars", "frames", _frames("polars"))
    yield Row("pyarrow", "tables", _frames("pyarrow"))


def _wide(folder: Path) -> bool:
    """Audits a table of more columns than any model of a table takes."""
    data = planted()
    data = data._replace(private=data.private[:20], public=data.public[:10])
    more = ",".join(["1"] * 100_000)
    lines = [",".join(f"g{place}" for place in range(100_000)), *[more] * 30]
    own = together(data).to_csv(index=False).split()
    path = folder / "rows.csv"
    path.write_text("\n".join(f"{one},{other}" for one, other in zip(own, lines, strict=True)))
    return _met_alone(write_plan(folder, _model(folder), data, str(path), kind="function"))


def _with_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns a table in which a known column has a value of its own in every row."""
    return frame.assign(height=[f"record-{place}" for place in range(len(frame))])


def _model(folder: Path) -> str:
    """Writes a function that predicts what the secret says."""
    (folder / "reach_rows_model.py").write_text(
        "def model(table):\n    return table['smoker'].astype(int).to_numpy()\n"
    )
    return "reach_rows_model:model"


def _file(library: str, name: str, write: Write, way: str = "") -> Row:
    def meet(folder: Path) -> bool:
        data = planted()
        frame = together(data)
        write(frame, str(folder / name))
        load = _model(folder)
        table = str(folder / name)
        return _met_alone(write_plan(folder, load, data, table, kind="function"))

    return Row(library, name, meet, way)


def _met_alone(plan: Path) -> bool:
    """Audits a plan, and forgets the module that it imported."""
    import sys

    try:
        return plan_leaks(plan)
    finally:
        sys.modules.pop("reach_rows_model", None)


def _csv(
    what: str,
    way: str = "",
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
    plan: dict[str, str] | None = None,
    **options: Any,
) -> Row:
    def meet(folder: Path) -> bool:
        data = planted()
        frame = change(together(data))
        frame.to_csv(folder / "rows.csv", index=False, **options)
        load, table = _model(folder), str(folder / "rows.csv")
        return _met_alone(write_plan(folder, load, data, table, kind="function", **(plan or {})))

    return Row("CSV", what, meet, way)


def _frames(library: str) -> Callable[[Path], bool]:
    def meet(folder: Path) -> bool:
        from sklearn.linear_model import LogisticRegression

        data = planted()
        module = importlib.import_module(library)
        columns = [*INPUTS, data.response]
        make = module.DataFrame if library == "polars" else module.table
        private, public = (
            make(one[columns].to_dict("list")) for one in (data.private, data.public)
        )
        model = LogisticRegression().fit(data.inputs, data.truth)
        return leaks(model, folder, data, private=private, public=public)

    return meet
