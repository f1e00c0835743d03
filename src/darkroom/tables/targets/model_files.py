"""Models of tables in files, and in the folders that MLflow writes; none of them runs code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.errors import TargetError, one_line
from darkroom.imports import library, load_skops

PICKLES = (".joblib", ".pkl", ".pickle", ".cloudpickle", ".sav")


class _Format(NamedTuple):
    """How a library's own files are read.

    Attributes:
        library: Its module.
        read: Takes the module and the path.
    """

    library: str
    read: Callable[[Any, str], Any]


_XGBOOST = _Format("xgboost", lambda module, path: module.Booster(model_file=path))
_LIGHTGBM = _Format("lightgbm", lambda module, path: module.Booster(model_file=path))
_CATBOOST = _Format("catboost", lambda module, path: module.CatBoost().load_model(path))

FORMATS = {
    ".ubj": _XGBOOST,
    ".json": _XGBOOST,
    ".xgb": _XGBOOST,
    ".lgb": _LIGHTGBM,
    ".txt": _LIGHTGBM,
    ".cbm": _CATBOOST,
    ".cb": _CATBOOST,
}
"""The files of boosters, by their ending."""


def is_model_file(load: str, path: Path) -> bool:
    """Tells whether ``[target] load`` names a file or a folder rather than code.

    Args:
        load: As the plan has it.
        path: The same, within the plan's folder.
    """
    known = path.suffix in (".skops", *FORMATS, *PICKLES)
    return known or (":" not in load and path.is_dir()) or path.is_file()


def load_model_file(path: Path, trusted: Sequence[str] = ()) -> Any:
    """Loads a fitted model.

    Args:
        path: A file of skops, XGBoost, LightGBM or CatBoost.
        trusted: Types beyond skops' own that may be loaded from a skops file.

    Raises:
        TargetError: If it is missing, damaged, a pickle, or its library is not installed.
    """
    if path.suffix in PICKLES:
        raise TargetError(
            f"{path}: Darkroom never unpickles, since a pickle can run code: where you trust it, "
            f"run python -c \"import joblib, skops.io as s; s.dump(joblib.load('{path.name}'), "
            f'\'{path.stem}.skops\')" beside it and set [target] load = "{path.stem}.skops"'
        )
    if path.suffix == ".skops":
        return load_skops(path, trusted)
    known = FORMATS.get(path.suffix)
    if known is None:
        raise TargetError(
            f"{path}: no model is read from {path.suffix or 'such'} files: give "
            f".skops, {', '.join(FORMATS)}, or module:callable"
        )
    if not path.is_file():
        raise TargetError(f"{path}: no such file: check [target] load")
    return _read(known, path)


def _read(known: _Format, path: Path) -> Any:
    module = library(known.library, str(path))
    try:
        return known.read(module, str(path))
    except Exception as error:
        raise TargetError(
            f"{path}: no model of {known.library} ({one_line(error)}): write it with the "
            "library's own save_model"
        ) from error


def model_file(path: Path) -> Path:
    """Returns the file of a model: in an MLflow folder the one in it, else the path itself.

    Raises:
        TargetError: If a folder is none of MLflow's, or no file in it is a model.
    """
    if not path.is_dir():
        return path
    if not (path / "MLmodel").is_file():
        raise TargetError(
            f"{path}: a folder without a file MLmodel is no model: give a file, or the folder that "
            "MLflow wrote"
        )
    files = sorted(one for one in path.rglob("model*") if one.is_file())
    for suffix in (".skops", ".onnx", *FORMATS, *PICKLES):
        for file in files:
            if file.suffix == suffix:
                return file
    raise TargetError(f"{path}: no file in it is a model that Darkroom reads: give one itself")
