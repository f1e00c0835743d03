"""A run on disk: every file is there whole or not at all, and readable by its owner alone."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import RunError


class Store:
    """The folder of one run.

    Attributes:
        folder: ``out/name``.
    """

    def __init__(self, folder: Path) -> None:
        """Points at a run; nothing is written yet."""
        self.folder = folder

    def open(self, *, resume: bool) -> None:
        """Makes the folder, and clears away what an interrupted run left half done.

        Raises:
            RunError: If a run is there already and is not to be resumed, or the folder cannot be
                made.
        """
        if not resume and (self.folder / "run.json").exists():
            raise RunError(
                f"{self.folder}: a run is there already: go on with --resume, choose another "
                "[run] name, or remove the folder"
            )
        try:
            (self.folder / "cells").mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            for leftover in self.folder.glob("cells/.partial-*"):
                shutil.rmtree(leftover)
            for leftover in self.folder.glob(".partial-*"):
                leftover.unlink()
        except OSError as error:
            raise RunError(f"{self.folder}: {error.strerror}: choose another [run] out") from error

    def write(self, name: str, content: str) -> None:
        """Writes a text file of the run in one piece.

        Raises:
            RunError: If the disk is full or refuses; what was there before is kept.
        """
        partial = self.folder / f".partial-{name}"
        try:
            _write_private(partial, content.encode())
            partial.replace(self.folder / name)
            _sync_folder(self.folder)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise _refused(self.folder / name, error) from error

    def has_cell(self, key: str) -> bool:
        """Tells whether a cell is finished."""
        return (self.folder / "cells" / key / "cell.json").exists()

    def write_cell(
        self, key: str, cell: dict[str, Any], arrays: dict[str, NDArray[np.generic]]
    ) -> None:
        """Writes a finished cell: into a folder beside, which is then renamed.

        Raises:
            RunError: If the disk is full or refuses; nothing of the cell is left then, and
                finished cells are untouched.
        """
        partial = self.folder / "cells" / f".partial-{key}"
        try:
            partial.mkdir(mode=0o700)
            _write_private(partial / "cell.json", json.dumps(cell, indent=1).encode())
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
            _write_private(partial / "reconstructions.npz", buffer.getvalue())
            _sync_folder(partial)
            partial.replace(self.folder / "cells" / key)
            _sync_folder(self.folder / "cells")
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise _refused(self.folder / "cells" / key, error) from error


def _write_private(path: Path, content: bytes) -> None:
    """Writes bytes to a new file of mode 0600 and waits until they are on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{path}: cannot be written ({error.strerror}): make room or choose another [run] out, "
        "then go on with --resume"
    )
