"""ONNX files: opened, run, and hashed with the weights that lie beside them."""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from darkroom.errors import MissingExtraError, TargetError, one_line

_LOCATION = re.compile(rb"\x0a\x08location\x12")
"""How a graph's tensor says where its numbers are: the field ``key`` of ``external_data``, and the
tag of the field ``value``, as protocol buffers write them."""


def open_session(file: Path) -> Any:
    """Opens a model on the processor.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
        TargetError: If the file is missing or no model, or weights that it names are missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    if not file.is_file():
        raise TargetError(f"{file}: no such file: check [target] load")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions, and are told from there
    try:
        return onnxruntime.InferenceSession(
            file, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        absent = [name for name in external_names(file) if not (file.parent / name).is_file()]
        if absent:
            raise TargetError(
                f"{file}: its weights {absent[0]!r} are not beside it: copy that file there"
            ) from error
        raise TargetError(
            f"{file}: not a model that ONNX Runtime can run ({one_line(error)})"
        ) from error


def run_session(session: Any, outputs: Sequence[str] | None, feed: Mapping[str, Any]) -> list[Any]:
    """Runs a model, and ends it when the user interrupts, though it may loop for ever.

    Args:
        session: As :func:`open_session` returns it.
        outputs: The names of what to return; ``None`` for all.
        feed: What it takes, by name.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    # An interruption reaches the main thread only where that is in no library's code.
    with ThreadPoolExecutor(1) as apart:
        running = apart.submit(session.run, outputs, dict(feed), options)
        try:
            answer: list[Any] = running.result()
        except BaseException:
            options.terminate = True
            raise
    return answer


def hash_file(file: Path) -> bytes:
    """Returns a hash of a model's file and of every file that its graph takes numbers from.

    Raises:
        TargetError: If one of them cannot be read.
    """
    digest = hashlib.sha256()
    for name in (file.name, *external_names(file)):
        try:
            with (file.parent / name).open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise TargetError(f"{file}: {name} cannot be read ({error.strerror})") from error
    return digest.digest()


def external_names(file: Path) -> list[str]:
    """Returns the files beside a model that its graph takes numbers from, sorted."""
    if not file.stat().st_size:
        return []
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as graph:
        return sorted(set(_located(graph)))


def _located(graph: mmap.mmap) -> Iterator[str]:
    for found in _LOCATION.finditer(graph):
        length, place = _varint(graph, found.end())
        yield graph[place : place + length].decode(errors="replace")


def _varint(graph: mmap.mmap, place: int) -> tuple[int, int]:
    """Reads a number of protocol buffers; returns it, and where it ends."""
    value = shift = 0
    while place < len(graph):
        byte = graph[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            break
    return value, place
