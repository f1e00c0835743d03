"""Loading a model of tables by a plan's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from darkroom.errors import MissingExtraError, TargetError
from darkroom.imports import call_import, import_callable, load_skops
from darkroom.tables.schema import Schema
from darkroom.tables.targets.base import CallableTableTarget, TableTarget
from darkroom.tables.targets.onnx import OnnxTableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget

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


def reach_table_target(
    protocol: Literal["json", "v2"],
    url: str,
    schema: Schema,
    *,
    authorized_by: str,
    wire: Mapping[str, Any],
    delivery: Mapping[str, Any],
    tolerance: float,
    api_key_env: str | None,
    headers_from_env: Mapping[str, str],
) -> TableTarget:
    """Reaches a served model of tables as a target.

    Args:
        protocol: The wire format.
        url: The server for ``v2``, the endpoint for ``json``.
        schema: The rows that it takes and what it predicts.
        authorized_by: Who allowed it.
        wire: ``answers``, and for ``v2`` ``model``, ``version``, ``output``, for ``json`` ``rows``,
            ``path`` and ``extra``.
        delivery: Fields of :class:`darkroom.remote.sending.Delivery`.
        tolerance: How far from one a row of probabilities may sum.
        api_key_env: The environment variable with a key that is sent as a bearer token.
        headers_from_env: Header names, and for each the environment variable with its value.

    Raises:
        MissingExtraError: If a library for it is not installed.
        TargetError: If nobody allowed it, or an address, a path or a variable does not do.
    """
    try:
        from darkroom.remote.delivery import Delivery
        from darkroom.remote.secrets import secret_headers
        from darkroom.tables.targets.http import HttpTableTarget
        from darkroom.tables.targets.wire import TableJson, TableOpenInference
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "http") from error
    answers = wire["answers"]
    form: TableJson | TableOpenInference
    if protocol == "json":
        form = TableJson(
            url,
            schema,
            answers=answers,
            inputs=wire["rows"],
            path=wire["path"],
            extra=wire["extra"],
        )
    elif wire["model"] is None:
        raise TargetError("[target] model is missing: name the model on the server")
    else:
        form = TableOpenInference(
            url,
            wire["model"],
            schema,
            answers=answers,
            version=wire["version"],
            output=wire["output"],
        )
    return HttpTableTarget(
        form,
        authorized_by=authorized_by,
        delivery=Delivery(**delivery),
        tolerance=tolerance,
        secret_headers=secret_headers(api_key_env, headers_from_env),
    )
