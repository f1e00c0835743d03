"""Gathers the cells of a run into one document, ``results.json``, and checks it."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]
from jsonschema.exceptions import best_match  # type: ignore[import-untyped,unused-ignore]

from darkroom.files import write_private
from darkroom.report.files import damaged, read_json

SCHEMA_NAME = "darkroom/results/2"
RUN_SCHEMA_NAME = "darkroom/run/2"


def load_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) that every ``results.json`` meets."""
    text = resources.files("darkroom.auditing").joinpath("results.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def collect(run: Path) -> dict[str, Any]:
    """Builds the results document of a run from ``run.json`` and its cells, in the plan's order.

    Args:
        run: The run folder, such as ``runs/demo``.

    Returns:
        A document that meets ``load_schema()`` and whose intervals hold their estimates.

    Raises:
        RunError: If the run or one of its cells is missing or damaged; one line says which.
    """
    record = _read_run(run)
    cells = [_read_cell(run, key) for key in record["cells"]]
    about = record["run"]
    document = {
        "schema": SCHEMA_NAME,
        "run": {name: about.get(name) for name in ("name", "seed", "versions", "machine")},
        "cells": cells,
    }
    _check(run, document)
    return document


def write_results(run: Path) -> Path:
    """Writes ``results.json`` into the run folder, whole or not at all, for its owner alone.

    Args:
        run: The run folder.

    Returns:
        The path of the file.

    Raises:
        RunError: If the run or one of its cells is missing or damaged, or cannot be written.
    """
    text = json.dumps(collect(run), indent=2, ensure_ascii=False, allow_nan=False)
    return write_private(run / "results.json", f"{text}\n".encode())


def _read_run(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    record = read_json(path)
    if not isinstance(record, dict) or record.get("schema") != RUN_SCHEMA_NAME:
        raise damaged(path, f"its schema is not {RUN_SCHEMA_NAME!r}")
    if not isinstance(record.get("run"), dict):
        raise damaged(path, "'run' is not an object")
    keys = record.get("cells")
    if not isinstance(keys, list) or not keys or not all(map(_is_key, keys)):
        raise damaged(path, "'cells' is not a list of cell keys")
    if len(set(keys)) != len(keys):
        raise damaged(path, "'cells' names a cell twice")
    return record


def _is_key(key: object) -> bool:
    # A key becomes a folder's name, so nothing that could leave the run folder may pass.
    return isinstance(key, str) and re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z_-]*", key) is not None


def _read_cell(run: Path, key: str) -> dict[str, Any]:
    path = run / "cells" / key / "cell.json"
    cell = read_json(path)
    if not isinstance(cell, dict):
        raise damaged(path, "it is not an object")
    if cell.get("key") != key:
        raise damaged(path, f"its key is not {key!r}")
    return cell


def _check(run: Path, document: dict[str, Any]) -> None:
    error = best_match(Draft202012Validator(load_schema()).iter_errors(document))
    if error is not None:
        raise damaged(*_place(run, document, list(error.absolute_path), error.message))
    for cell in document["cells"]:
        for name in ("success", "baseline", "advantage"):
            rate = cell[name]
            if not rate["low"] <= rate["estimate"] <= rate["high"]:
                path = run / "cells" / cell["key"] / "cell.json"
                raise damaged(path, f"the estimate of {name!r} is outside its interval")


def _place(
    run: Path, document: dict[str, Any], steps: list[str | int], message: str
) -> tuple[Path, str]:
    if len(steps) > 1 and steps[0] == "cells":
        cell = document["cells"][steps[1]]
        where = ".".join(str(step) for step in steps[2:]) or "the cell"
        return run / "cells" / str(cell["key"]) / "cell.json", f"{where}: {message}"
    where = ".".join(str(step) for step in steps) or "the document"
    return run / "run.json", f"{where}: {message}"
