"""The audit log: a line of JSON a request, without inputs and answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from darkroom.errors import DataError
from darkroom.guard.telemetry.record import Record

logger = logging.getLogger("darkroom.guard")


class AuditLog:
    """Writes a line of JSON a request, for its owner alone; without inputs and answers.

    A file that was moved away is begun anew. A log that cannot be written is told and does not
    stop the guard, whose budgets do not depend on it.
    """

    def __init__(self, path: Path) -> None:
        """Takes the file, whose folder exists."""
        self.path = path
        self._file: int | None = None
        self._inode: tuple[int, int] | None = None
        self._failed = False

    def __call__(self, record: Record) -> None:
        """Writes one line."""
        try:
            self._open()
            assert self._file is not None
            _append(self._file, record.line())
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.error("%s: the audit log cannot be written (%s)", self.path, error.strerror)
            self._failed = True

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        try:
            found = self.path.stat()
            inode = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            inode = None
        if self._file is not None and inode == self._inode:
            return
        self.close()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        found = os.fstat(self._file)
        self._inode = (found.st_dev, found.st_ino)


def _append(file: int, line: Mapping[str, Any]) -> None:
    """Writes a whole line: a system that takes a part of it, as a full disk does, is asked again.

    Raises:
        OSError: If the rest cannot be written.
    """
    left = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    while left:
        left = left[os.write(file, left) :]


def append_durably(path: Path, line: Mapping[str, Any]) -> None:
    """Writes one line that must be on the disk before anything else happens.

    Args:
        path: The log; its folder exists.
        line: What is written.

    Raises:
        DataError: If it cannot be.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _append(file, line)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise DataError(
            f"{path}: the audit log cannot be written ({error.strerror}): mend that first"
        ) from error
