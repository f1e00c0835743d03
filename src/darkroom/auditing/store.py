"""A run on disk: every file is there whole or not at all, and readable by its owner alone."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from darkroom.auditing.record import Record
from darkroom.auditing.run_record import RunRecord
from darkroom.errors import RunError
from darkroom.files import (
    MARK,
    PARTIAL,
    claim,
    is_leased,
    mark,
    refused,
    sync_folder,
    write_private,
)

REMEDY = "choose another [run] out or name"


class Store:
    """The folder of one run.

    Attributes:
        folder: ``out/name``.
    """

    def __init__(self, folder: Path) -> None:
        """Points at a run; nothing is written yet."""
        self.folder = folder

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps every other audit out of the folder while the block runs.

        Raises:
            RunError: If another audit writes there, or the folder is not Darkroom's.
        """
        self._claim()
        flags = os.O_RDWR | os.O_NOFOLLOW  # NFS locks nothing that was opened to be read
        with os.fdopen(os.open(self.folder / MARK, flags), "rb") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{self.folder}: another audit is writing there: wait for its end, or choose "
                    "another [run] name"
                ) from None
            except OSError:
                pass  # a file system without locks
            yield

    def open(self, *, resume: bool) -> None:
        """Makes the folder, and clears away what an interrupted run left half done.

        Raises:
            RunError: If a run is there already and is not to be resumed, the folder holds
                something else, or it cannot be made.
        """
        if not resume and (self.folder / "run.json").exists():
            raise RunError(
                f"{self.folder}: a run is there already: go on with --resume, choose another "
                "[run] name, or remove the folder"
            )
        self._claim()
        cells = self.folder / "cells"
        try:
            for folder in (cells, self.folder / "claims"):
                if folder.is_symlink():
                    raise RunError(f"{folder}: a link to another place: remove it")
                folder.mkdir(mode=0o700, exist_ok=True)
            for leftover in cells.glob(".partial-*"):
                if not leftover.is_symlink() and not self._in_work(leftover.name):
                    shutil.rmtree(leftover)
            for leftover in self.folder.glob(PARTIAL):
                leftover.unlink()
        except OSError as error:
            raise RunError(f"{self.folder}: {error.strerror}: {REMEDY}") from error

    def _in_work(self, partial: str) -> bool:
        """Tells whether a worker of a run that was interrupted still writes a cell."""
        return is_leased(self.folder / "claims" / f"{partial.removeprefix('.partial-')}.json")

    def _claim(self) -> None:
        # A run that was written before folders were marked.
        if not self.folder.is_symlink() and self.record() is not None:
            mark(self.folder)
        claim(self.folder, REMEDY)

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
        text = cell.model_dump_json(indent=1)
        type(cell).model_validate_json(text)  # what cannot be read again is a fault of ours
        try:
            # Whoever had the cell before was killed while it wrote.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            write_private(partial / "cell.json", text.encode())
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
