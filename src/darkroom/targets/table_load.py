"""Loading a model of tables by a plan's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from darkroom.errors import TargetError
from darkroom.targets.imports import call_import, import_callable
from darkroom.targets.schema import Schema
from darkroom.targets.sklearn import load_skops
from darkroom.targets.table import CallableTableTarget, TableTarget
from darkroom.targets.table_onnx import OnnxTableTarget
from darkroom.targets.table_sklearn import SklearnTableTarget

TableKind = Literal["sklearn", "onnx", "function"]


def load_table_target(
    kind: TableKind,
    load: str,
    schema: Schema,
    *,
    outputs: Literal["predictions", "scores"] = "predictions",
    trusted: Sequence[str] = (),
    folder: Path | None = None,
) -> TableTarget:
    """Loads a model of tables as a target.

    Args:
        kind: ``sklearn`` (a ``.skops`` file, or ``module:callable`` that returns a fitted
            estimator), ``onnx`` (a file) or ``function`` (``module:function`` that takes a
            DataFrame).
        load: The file or the import path; files are relative to ``folder``.
        schema: The tables it takes and what it predicts.
        outputs: What a function returns.
        trusted: Types beyond skops' own that may be loaded from a skops file.
        folder: Where files and modules are looked for.

    Raises:
        TargetError: If it cannot be loaded, or does not fit the schema.
    """
    path = Path(load) if folder is None else folder / load
    if kind == "onnx":
        return OnnxTableTarget(path, schema)
    if kind == "function":
        return CallableTableTarget(import_callable(load, folder), schema, outputs=outputs)
    if ":" in load or path.suffix != ".skops":
        model, name = call_import(load, folder), load
    else:
        model, name = load_skops(path, trusted), path.name
    if not hasattr(model, "predict"):
        raise TargetError(f"{load}: it gave {type(model).__name__}, not a fitted estimator")
    return SklearnTableTarget(model, schema, name=name)
