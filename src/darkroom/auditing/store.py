"""A run on disk: every file is there whole or not at all, and readable by its owner alone."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from darkroom.auditing.record import Record
from darkroom.auditing.run_record import RunRecord
from darkroom.errors import RunError
from darkroom.files import refused, sync_folder, write_private


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
            for leftover in self.folder.glob(".*.*"):
                leftover.unlink()
        except OSError as error:
            raise RunError(f"{self.folder}: {error.strerror}: choose another [run] out") from error

    def write(self, name: str, content: str) -> None:
        """Writes a text file of the run in one piece.

        Raises:
            RunError: If the disk is full or refuses; what was there before is kept.
        """
        write_private(self.folder / name, content.encode())

    def record(self) -> RunRecord | None:
        """Returns what the run said of itself when it was begun; ``None`` if it cannot be read."""
        try:
            return RunRecord.model_validate_json((self.folder / "run.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def has_cell(self, key: str) -> bool:
        """Tells whether a cell is finished."""
        cell = self.folder / "cells" / key
        return all((cell / name).exists() for name in ("cell.json", "reconstructions.npz"))

    def write_cell(self, key: str, cell: Record, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Writes a finished cell: into a folder beside, which is then renamed.

        Raises:
            RunError: If the disk is full or refuses; nothing of the cell is left then, and
                finished cells are untouched.
        """
        partial = self.folder / "cells" / f".partial-{key}"
        try:
            partial.mkdir(mode=0o700)
            write_private(partial / "cell.json", cell.model_dump_json(indent=1).encode())
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
            write_private(partial / "reconstructions.npz", buffer.getvalue())
            # What is left of a cell that lost a file would be in the way.
            shutil.rmtree(self.folder / "cells" / key, ignore_errors=True)
            partial.replace(self.folder / "cells" / key)
            sync_folder(self.folder / "cells")
        except (RunError, OSError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):
                raise refused(self.folder / "cells" / key, error) from error
            raise
