"""The embedded store: one SQLite file, for one host."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darkroom.errors import one_line
from darkroom.guard.stores.base import Clock, Ledger, StoreError
from darkroom.guard.stores.sql import SqlStore

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS darkroom_ledger (
    model TEXT NOT NULL, subject TEXT NOT NULL, until INTEGER NOT NULL,
    rows INTEGER NOT NULL CHECK (rows >= 0),
    PRIMARY KEY (model, subject, until)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS darkroom_subjects (
    model TEXT NOT NULL, subject TEXT NOT NULL, rows INTEGER NOT NULL,
    PRIMARY KEY (model, subject)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS darkroom_ledgers (
    model TEXT PRIMARY KEY, identity TEXT NOT NULL, mark INTEGER NOT NULL, turn INTEGER NOT NULL,
    rows INTEGER NOT NULL, protection TEXT) WITHOUT ROWID""",
)

WAL_IS_SOUND = (3, 51, 3)
"""SQLite before this may lose a transaction when a write-ahead log is reset at a bad moment."""


class SqliteStore(SqlStore[sqlite3.Connection]):
    """Budgets in a file that all workers of one host share.

    Every charge is a transaction that takes the write lock first and is on the disk before it
    returns: a write-ahead log with ``synchronous=FULL``, or, where the SQLite at hand is older than
    3.51.3, a rollback journal with ``synchronous=EXTRA``.
    """

    def __init__(
        self,
        model: str,
        path: Path,
        *,
        patience: float = 2.0,
        clock: Clock = time.time,
        create: bool = False,
    ) -> None:
        """Takes the file; :meth:`begin` makes it.

        Args:
            model: As the policy has it.
            path: The file, on a local disk; its folder exists.
            patience: Seconds to wait for another worker's lock.
            clock: The clock.
            create: Whether a ledger is begun where there is none.
        """
        super().__init__(model, clock, create=create)
        self.path, self.patience = path, patience
        self.title = str(path)
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)

    def connect(self) -> None:
        """Opens the file, if there is one; see :meth:`Store.connect`."""
        self._connect(make=False)

    def ledger(self) -> Ledger | None:
        """Reads the ledger; there is none where there is no file."""
        return super().ledger() if self._connection is not None else None

    def begin(self, *, discard: bool = False) -> Ledger:
        """Begins one, in a file that is made for its owner alone; see :meth:`Store.begin`."""
        self._connect(make=True)
        return super().begin(discard=discard)

    def close(self) -> None:
        """Closes the file; see :meth:`Store.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def check(self) -> None:
        """Lets SQLite check the whole file besides; see :meth:`Store.check`."""
        with self._reading() as connection:
            found = connection.execute("PRAGMA quick_check").fetchall()
        if found != [("ok",)]:
            raise StoreError(f"{self.path}: damaged ({found[0][0]}): restore it from a copy")
        super().check()

    def _connect(self, *, make: bool) -> None:
        if self._connection is not None:
            return
        try:
            fresh = not self.path.exists()
            if fresh and not make:
                if not self.path.parent.is_dir():
                    raise StoreError(f"{self.path}: there is no folder {self.path.parent}: make it")
                return
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
            self._make_durable(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._broken(error) from error
        except StoreError:
            connection.close()
            raise
        self._connection = connection
        self._file = self._inode()

    def _make_durable(self, connection: sqlite3.Connection) -> None:
        wal = sqlite3.sqlite_version_info >= WAL_IS_SOUND
        mode = "wal" if wal else "delete"
        found = connection.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
        if found != mode:
            raise StoreError(f"{self.path}: no journal of mode {mode} here: use a local disk")
        connection.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")

    def _has_tables(self, connection: sqlite3.Connection) -> bool:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'darkroom_ledgers'")
        return found.fetchone() is not None

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        for statement in SCHEMA:
            connection.execute(statement)

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
        if self._connection is None:
            self._recognised(None)
        assert self._connection is not None
        # A file that is removed or replaced while it is open would take charges that are lost.
        if self._inode() != self._file:
            self.close()
            raise StoreError(f"{self.path}: was replaced while it was open: put it back")
        return self._connection

    def _inode(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        except OSError as error:
            raise self._broken(error) from error
        return found.st_dev, found.st_ino

    def _broken(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.path}: {one_line(error)}: make it writable, or free room or locks"
        )
