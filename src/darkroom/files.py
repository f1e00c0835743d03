"""Writing files that are there whole or not at all, for their owner alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from darkroom.errors import RunError


def write_private(path: Path, content: bytes) -> Path:
    """Replaces a file at once and for its owner alone: readers see the old content or the new.

    Args:
        path: Where to write; its folder exists.
        content: The whole content.

    Returns:
        ``path``.

    Raises:
        RunError: If the folder cannot be written to.
    """
    try:
        _replace(path, content)
    except OSError as error:
        raise refused(path, error) from error
    return path


def refused(path: Path, error: OSError) -> RunError:
    """Returns the error for a file that the system would not write, on one line."""
    return RunError(
        f"{path}: cannot be written ({error.strerror or error}): make room or choose another "
        "[run] out, then go on with --resume"
    )


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    # mkstemp creates the file with mode 0600, so there is no moment when others can read it.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
