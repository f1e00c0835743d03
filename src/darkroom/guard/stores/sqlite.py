"""The embedded store: one SQLite file, for one host."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darkroom.errors import one_line
from darkroom.guard.stores.base import Clock, StoreError
from darkroom.guard.stores.sql import BEGIN_CLOCK, SqlStore

SCHEMA = """
CREATE TABLE IF NOT EXISTS darkroom_ledger (
  model TEXT NOT NULL, subject TEXT NOT NULL, until INTEGER NOT NULL,
  rows INTEGER NOT NULL CHECK (rows >= 0),
  PRIMARY KEY (model, subject, until)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS darkroom_clock (
  model TEXT PRIMARY KEY, mark INTEGER NOT NULL) WITHOUT ROWID;
"""

WAL_IS_SOUND = (3, 51, 3)
"""SQLite before this may lose a transaction when a write-ahead log is reset at a bad moment."""


class SqliteStore(SqlStore[sqlite3.Connection]):
    """Budgets in a file that all workers of one host share.

    Every charge is a transaction that takes the write lock first and is on the disk before it
    returns: a write-ahead log with ``synchronous=FULL``, or, where the SQLite at hand is older than
    3.51.3, a rollback journal with ``synchronous=EXTRA``.
    """

    def __init__(
        self, model: str, path: Path, *, patience: float = 2.0, clock: Clock = time.time
    ) -> None:
        """Takes the file; :meth:`open` makes it.

        Args:
            model: As the policy has it.
            path: The file, on a local disk; its folder exists.
            patience: Seconds to wait for another worker's lock.
            clock: The clock.
        """
        super().__init__(model, clock)
        self.path, self.patience = path, patience
        self.title = str(path)
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)

    def open(self) -> None:
        """Opens the file, or makes it for its owner alone; see :meth:`Store.open`."""
        if self._connection is not None:
            return
        try:
            fresh = not self.path.exists()
            connection = sqlite3.connect(
                self.path, timeout=self.patience, isolation_level=None, check_same_thread=False
            )
            if fresh:
                # Never open the file here to do this: closing it again would drop the locks that
                # other connections of this process hold, and charges would be lost.
                self.path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error
        try:
            wal = sqlite3.sqlite_version_info >= WAL_IS_SOUND
            mode = "wal" if wal else "delete"
            found = connection.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
            if found != mode:
                raise StoreError(f"{self.path}: no journal of mode {mode} here: use a local disk")
            connection.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
            self._run(connection, BEGIN_CLOCK, self.model)
        except sqlite3.Error as error:
            connection.close()
            raise self._broken(error) from error
        except StoreError:
            connection.close()
            raise
        self._connection = connection
        self._file = self._inode()

    def close(self) -> None:
        """Closes the file; see :meth:`Store.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def check(self) -> None:
        """Lets SQLite check the whole file; see :meth:`Store.check`."""
        with self._reading() as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise StoreError(f"{self.path}: damaged ({found[0][0]}): restore it from a copy")

    def _run(self, connection: sqlite3.Connection, statement: str, *values: Any) -> sqlite3.Cursor:
        return connection.execute(statement, values)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._broken(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._opened()
        try:
            # The lock comes first: a transaction that reads before it writes may have to be undone.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._broken(error) from error
        finally:
            if connection.in_transaction:
                self._undo(connection)

    def _undo(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        assert self._connection is not None
        # A file that is removed or replaced while it is open would take charges that are lost.
        if self._inode() != self._file:
            self.close()
            raise StoreError(f"{self.path}: was replaced while it was open: restart the guard")
        return self._connection

    def _inode(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise self._broken(error) from error
        return found.st_dev, found.st_ino

    def _broken(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.path}: {one_line(error)}: make it writable, or free room or locks"
        )
