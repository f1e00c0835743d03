"""Importing what a plan names: code of the plan's owner, never a file of weights."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from darkroom.errors import MissingExtraError, TargetError, one_line


def library(name: str, why: str) -> Any:
    """Imports a library that no extra brings, since only those who use it already need it.

    Args:
        name: Of the module, and of what ``pip`` installs.
        why: What needs it, for messages.

    Raises:
        TargetError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TargetError(f"{why}: {name} is not installed: run pip install {name}") from error


_WEIGHTS = (
    'a file of weights alone is no model: set load = "module:callable" to the code that builds it, '
    "and weights to this file"
)
_PICKLE = (
    "a file of weights alone is no model, and Darkroom never unpickles: write a scikit-learn model "
    "with skops.io.dump, or name the code that builds the model"
)
_KERAS = (
    'a model of Keras or TensorFlow is read as ONNX: export it, and set [target] kind = "onnx" and '
    "load to that file; docs/how-to/keras-and-jax.md shows how"
)
_FILES = {
    **dict.fromkeys((".joblib", ".pkl", ".pickle"), _PICKLE),
    **dict.fromkeys((".pt", ".pth", ".safetensors", ".ckpt", ".tar", ".bin", ".th"), _WEIGHTS),
    **dict.fromkeys((".keras", ".h5", ".hdf5", ".pb", ".tflite"), _KERAS),
    ".onnx": 'an ONNX file: set [target] kind = "onnx"',
    ".skops": 'a file of skops: set [target] kind = "sklearn"',
}
"""What to do with a file in the place of code, by its ending."""


def import_callable(load: str, folder: Path | None = None) -> Callable[..., Any]:
    """Returns the callable at an import path.

    Args:
        load: ``package.module:callable``.
        folder: Where to look for the module, beside the working folder and what is installed.

    Raises:
        TargetError: If the path is none, the import fails or there is no such callable.
    """
    said = _FILES.get(Path(load).suffix.lower())
    if said is not None:
        raise TargetError(f"{load}: {said}")
    module_name, _, attribute = load.partition(":")
    if not module_name or not attribute:
        raise TargetError(f"{load}: give an import path such as mymodels:face_net")
    with importable(folder):
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise TargetError(
                f"{load}: cannot import {module_name} ({one_line(error)}): check the name, or "
                "start where it can be imported"
            ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise TargetError(f"{load}: {module_name} has no callable {attribute}")
    return found  # type: ignore[no-any-return]


def call_import(load: str, folder: Path | None = None) -> Any:
    """Imports a callable and returns what it returns; see :func:`import_callable`.

    Raises:
        TargetError: If that fails, or the call does.
    """
    builder = import_callable(load, folder)
    with importable(folder):
        try:
            return builder()
        except (Exception, SystemExit) as error:
            raise TargetError(
                f"{load}: calling it failed ({one_line(error)}): it is called without arguments "
                "and must return the model"
            ) from error


@contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """Lets modules beside the plan and in the working folder be imported."""
    # Python remembers what a relative path meant at its first use, so paths are made absolute.
    added = [str(path.resolve()) for path in (folder, Path.cwd()) if path is not None]
    sys.path[:0] = added
    try:
        yield
    finally:
        for path in added:
            sys.path.remove(path)


def beside(folder: Path) -> list[ModuleType]:
    """Returns the modules that were imported from a folder, as those beside a plan are."""
    found = []
    for name, module in list(sys.modules.items()):
        place = folder.resolve().joinpath(*name.split("."))
        file = getattr(module, "__file__", None)
        if file is not None and Path(file) in (place.with_suffix(".py"), place / "__init__.py"):
            found.append(module)
    return found


HARMLESS = ("collections.OrderedDict",)
"""Types of Python's own library that boosters hold, and that run no code."""


def load_skops(file: Path, trusted: Sequence[str] = ()) -> Any:
    """Loads an estimator from a file that runs no code but that of trusted types.

    Args:
        file: Written by ``skops.io.dump``.
        trusted: Types that the file may hold beside those that skops knows to be safe, as its
            error names them.

    Raises:
        MissingExtraError: If skops is not installed.
        TargetError: If the file cannot be read or holds other types.
    """
    try:
        from skops import io
    except ImportError as error:
        raise MissingExtraError("skops", "vision") from error
    if not file.is_file():
        raise TargetError(f"{file}: no such file: check [target] load")
    try:
        unknown = sorted(set(io.get_untrusted_types(file=file)) - {*trusted, *HARMLESS})
        if not unknown:
            return io.load(file, trusted=[*trusted, *HARMLESS])
    except Exception as error:
        raise TargetError(
            f"{file}: not a readable skops file ({one_line(error)}): write it with skops.io.dump"
        ) from error
    raise _untrusted(file, unknown)


def _untrusted(file: Path, unknown: Sequence[str]) -> TargetError:
    """Names what a file holds, though not as a line to paste: it may be made to run a command."""
    python = [name for name in unknown if name.partition(".")[0] in sys.stdlib_module_names]
    if python:
        return TargetError(
            f"{file}: holds {python[0]} of Python's own library, which no estimator needs "
            "and which may run code: write it anew from a model that you trust"
        )
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    return TargetError(
        f"{file}: holds the type {unknown[0]}{more}, which skops does not know to be safe: if you "
        "know it and trust who wrote the file, name it in [target] trusted"
    )


def installed(group: str) -> EntryPoints:
    """Returns the entry points of a group, read anew only where a package was installed."""
    return _read(group, tuple((one, _changed(one)) for one in sys.path))


@lru_cache(64)
def _read(group: str, path: tuple[tuple[str, int], ...]) -> EntryPoints:  # noqa: ARG001
    return entry_points(group=group)


def _changed(folder: str) -> int:
    """Returns when a folder of the path of imports was changed, in nanoseconds; 0 for none."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0
