"""Loading a model of tables by a plan's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from darkroom.errors import MissingExtraError, PlanError, TargetError
from darkroom.imports import call_import, import_callable
from darkroom.named import Registry
from darkroom.tables.schema import Schema
from darkroom.tables.targets.base import CallableTableTarget, TableTarget
from darkroom.tables.targets.model_files import is_model_file, load_model_file, model_file
from darkroom.tables.targets.native import NativeTableTarget, native_of, refuse_survival
from darkroom.tables.targets.onnx import OnnxTableTarget
from darkroom.tables.targets.sections import (
    TableHttpSection,
    TablePythonSection,
    TableTargetSection,
)
from darkroom.tables.targets.sklearn import AS_FUNCTION, SklearnTableTarget, UntrainedTableTarget

TABLE_TARGETS: Registry[TableTarget] = Registry("target", TableTarget, group="darkroom.targets")
"""Targets of tables from outside; Darkroom's own are kinds of ``[target]``."""

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
        kind: ``sklearn`` (a file or folder that
            :mod:`darkroom.tables.targets.model_files` reads, or ``module:callable`` that returns
            a fitted model with ``predict``), ``onnx`` (a file) or ``function``
            (``module:function`` that takes a DataFrame).
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
    if is_model_file(load, path):
        file = model_file(path)
        if file.suffix == ".onnx":
            return OnnxTableTarget(file, schema)
        model, name = load_model_file(file, trusted), path.name
    else:
        model, name = call_import(load, folder), load
    if not hasattr(model, "predict"):
        raise TargetError(
            f"{load}: it gave {type(model).__name__}, not a fitted estimator: give one, or a "
            f"function of a table {AS_FUNCTION}"
        )
    return fitted_target(model, schema, name=name)


def fitted_target(model: Any, schema: Schema, *, name: str | None = None) -> TableTarget:
    """Returns a fitted model with a ``predict`` as a target.

    Args:
        model: An estimator of scikit-learn's interface, a booster or a result of statsmodels.
        schema: The tables it takes and what it predicts.
        name: What reports call it.

    Raises:
        TargetError: If it does not fit the schema.
    """
    refuse_survival(model)
    if native_of(model) is not None:
        return NativeTableTarget(model, schema, name=name)
    return SklearnTableTarget(model, schema, name=name)


def as_table_target(
    model: Any, schema: Schema, outputs: Literal["predictions", "scores"], *, untrained: bool
) -> TableTarget:
    """Returns a model of tables as a target; a target as it is.

    Args:
        model: An estimator, a function that takes a DataFrame, or a target.
        schema: The tables it takes and what it predicts.
        outputs: What a function returns.
        untrained: Whether the estimator is to be fitted.

    Raises:
        PlanError: If a target's schema is about other columns.
        TargetError: If the model does not fit the schema.
    """
    if isinstance(model, TableTarget):
        own = model.schema
        if (own.response.name, own.sensitive) != (schema.response.name, schema.sensitive):
            raise PlanError(
                f"target {model.name} predicts {own.response.name!r}, {own.sensitive} unseen: give "
                "its schema the response and the sensitive columns of the audit"
            )
        return model
    if untrained:
        return UntrainedTableTarget(model, schema)
    if hasattr(model, "predict"):
        return fitted_target(model, schema)
    return CallableTableTarget(model, schema, outputs=outputs)


def open_table_target(
    section: TableTargetSection | TableHttpSection | TablePythonSection,
    schema: Schema,
    *,
    folder: Path | None = None,
    authorized_by: str | None = None,
    ends_with_limit: bool = False,
) -> TableTarget:
    """Opens the model that a plan describes.

    Args:
        section: The plan's ``[target]``.
        schema: The rows that it takes and what it predicts.
        folder: The plan's, where files and modules are looked for.
        authorized_by: Who allowed the audit; needed for a remote model.
        ends_with_limit: See :class:`darkroom.remote.delivery.Delivery`.

    Raises:
        MissingExtraError: If a library for it is not installed.
        TargetError: If it cannot be had, or does not fit the schema.
    """
    if isinstance(section, TablePythonSection):
        return TABLE_TARGETS.build(section, folder, schema)
    if isinstance(section, TableHttpSection):
        return _reach(section, schema, authorized_by or "", ends_with_limit)
    return load_table_target(
        section.kind,
        section.load,
        schema,
        outputs=section.outputs,
        trusted=section.trusted,
        folder=folder,
    )


def _reach(
    section: TableHttpSection, schema: Schema, authorized_by: str, ends_with_limit: bool
) -> TableTarget:
    """Reaches a served model."""
    try:
        from darkroom.tables.targets.http import HttpTableTarget
        from darkroom.tables.targets.wire import TableJson, TableOpenInference
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "http") from error
    wire: TableJson | TableOpenInference
    if section.protocol == "json":
        wire = TableJson(
            section.url,
            schema,
            answers=section.answers,
            inputs=section.rows,
            path=section.path,
            extra=section.extra,
        )
    elif section.model is None:
        raise TargetError("[target] model is missing: name the model on the server")
    else:
        wire = TableOpenInference(
            section.url,
            section.model,
            schema,
            answers=section.answers,
            version=section.version,
            output=section.output,
        )
    return HttpTableTarget(
        wire,
        authorized_by=authorized_by,
        delivery=section.delivery(section.batch, ends_with_limit=ends_with_limit),
        tolerance=section.tolerance,
        headers=section.headers,
        secret_headers=section.secret_headers(),
        secret_parameters=section.secret_parameters(),
    )
