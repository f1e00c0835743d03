"""The embedded store: one SQLite file, for one host."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darkroom.errors import one_line
from darkroom.guard.stores.base import (
    RETENTION,
    Charge,
    Clock,
    Entry,
    Make,
    Receipt,
    Store,
    StoreError,
    judged,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
  model TEXT NOT NULL, subject TEXT NOT NULL, until INTEGER NOT NULL,
  rows INTEGER NOT NULL CHECK (rows >= 0),
  PRIMARY KEY (model, subject, until)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (model TEXT PRIMARY KEY, mark INTEGER NOT NULL) WITHOUT ROWID;
"""
SUM = "SELECT coalesce(sum(rows), 0) FROM ledger WHERE model = ? AND subject = ? AND until > ?"
ADD = """
INSERT INTO ledger (model, subject, until, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (model, subject, until) DO UPDATE SET rows = rows + excluded.rows
"""
TAKE = "UPDATE ledger SET rows = rows - ? WHERE model = ? AND subject = ? AND until = ?"
MARK = """
INSERT INTO clock (model, mark) VALUES (?, ?)
ON CONFLICT (model) DO UPDATE SET mark = max(mark, excluded.mark)
"""
PURGE_EVERY = 500
"""Charges between two looks for buckets that no window reaches any more."""

WAL_IS_SOUND = (3, 51, 3)
"""SQLite before this may lose a transaction when a write-ahead log is reset at a bad moment."""


class SqliteStore(Store):
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
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._charges = 0

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

    def charge(self, make: Make) -> Receipt:
        """Charges in one transaction; see :meth:`Store.charge`."""
        with self._transaction() as connection:
            moment = self._advanced(self._mark(connection), self.clock())
            charge = make(moment)
            for entry in charge.returns:
                taken = connection.execute(
                    TAKE, (entry.rows, self.model, entry.subject, entry.until)
                )
                if taken.rowcount != 1:
                    raise StoreError(f"{self.path}: lost the rows of {entry.subject}")
            receipt = judged(charge, self._sums(connection, charge), moment)
            if receipt.granted:
                connection.executemany(
                    ADD, [(self.model, one.subject, one.until, one.rows) for one in charge.entries]
                )
            connection.execute(MARK, (self.model, moment))
            self._charges += 1
            if self._charges % PURGE_EVERY == 1:
                connection.execute(
                    "DELETE FROM ledger WHERE model = ? AND until < ?",
                    (self.model, moment - RETENTION),
                )
        self._settled(moment)
        return receipt

    def buckets(self, subject: str, since: int) -> list[Entry]:
        """Reads a subject's buckets; see :meth:`Store.buckets`."""
        found = self._read(
            "SELECT subject, until, rows FROM ledger "
            "WHERE model = ? AND subject = ? AND until > ? ORDER BY until",
            (self.model, subject, since),
        )
        return [Entry(str(one), int(until), int(rows)) for one, until, rows in found]

    def subjects(self) -> list[str]:
        """Reads the subjects; see :meth:`Store.subjects`."""
        found = self._read(
            "SELECT DISTINCT subject FROM ledger WHERE model = ? ORDER BY subject", (self.model,)
        )
        return [str(subject) for (subject,) in found]

    def now(self) -> int:
        """Reads the clock; see :meth:`Store.now`."""
        found = self._read("SELECT mark FROM clock WHERE model = ?", (self.model,))
        return self._advanced(int(found[0][0]) if found else 0, self.clock())

    def check(self) -> None:
        """Lets SQLite check the whole file; see :meth:`Store.check`."""
        found = self._read("PRAGMA integrity_check", ())
        if found != [("ok",)]:
            raise StoreError(f"{self.path}: damaged ({found[0][0]}): restore it from a copy")

    def _mark(self, connection: sqlite3.Connection) -> int:
        found = connection.execute(
            "SELECT mark FROM clock WHERE model = ?", (self.model,)
        ).fetchone()
        return int(found[0]) if found else 0

    def _sums(self, connection: sqlite3.Connection, charge: Charge) -> list[int]:
        return [
            int(connection.execute(SUM, (self.model, line.subject, line.since)).fetchone()[0])
            for line in charge.lines
        ]

    def _read(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._opened().execute(statement, values).fetchall()
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
