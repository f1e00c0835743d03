"""What stores in SQL share: a ledger of rows and a clock, changed in one transaction a charge."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from darkroom.guard.stores.base import (
    RETENTION,
    Entry,
    Make,
    Receipt,
    Store,
    StoreError,
    judged,
)

BEGIN_CLOCK = "INSERT INTO darkroom_clock (model, mark) VALUES (?, 0) ON CONFLICT DO NOTHING"
READ_CLOCK = "SELECT mark FROM darkroom_clock WHERE model = ?"
SET_CLOCK = "UPDATE darkroom_clock SET mark = ? WHERE model = ?"
SUM = """
SELECT coalesce(sum(rows), 0) FROM darkroom_ledger WHERE model = ? AND subject = ? AND until > ?
"""
ADD = """
INSERT INTO darkroom_ledger (model, subject, until, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (model, subject, until) DO UPDATE SET rows = darkroom_ledger.rows + excluded.rows
"""
TAKE = """
UPDATE darkroom_ledger SET rows = rows - ? WHERE model = ? AND subject = ? AND until = ?
"""
PURGE = "DELETE FROM darkroom_ledger WHERE model = ? AND until < ?"
BUCKETS = """
SELECT subject, until, rows FROM darkroom_ledger
WHERE model = ? AND subject = ? AND until > ? ORDER BY until
"""
SUBJECTS = "SELECT DISTINCT subject FROM darkroom_ledger WHERE model = ?"

PURGE_EVERY = 500
"""Charges between two looks for buckets that no window reaches any more."""

Connection = TypeVar("Connection")


class SqlStore(Store, Generic[Connection]):
    """Budgets in two tables: rows by model, subject and bucket, and each model's clock.

    Attributes:
        title: What messages call it.
        lock: What reading the clock ends with where a transaction locks nothing when it begins.
    """

    title: str
    lock = ""
    _charges = 0

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Connection]:
        """Gives a connection for one transaction, all of it done or nothing."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """Gives a connection to read from."""

    @abstractmethod
    def _run(self, connection: Connection, statement: str, *values: object) -> Any:
        """Runs a statement with values for its question marks; returns the cursor."""

    def _time(self, connection: Connection) -> float:  # noqa: ARG002 - for clocks of servers
        """Returns the seconds since 1970 that count."""
        return self.clock()

    def charge(self, make: Make) -> Receipt:
        """Charges in one transaction; see :meth:`Store.charge`."""
        with self._transaction() as connection:
            mark = self._mark(connection, READ_CLOCK + self.lock)
            moment = self._advanced(mark, self._time(connection))
            charge = make(moment)
            for one in charge.returns:
                place = (self.model, one.subject, one.until)
                if self._run(connection, TAKE, one.rows, *place).rowcount != 1:
                    raise StoreError(f"{self.title}: lost the rows of {one.subject}")
            before = [
                int(self._run(connection, SUM, self.model, one.subject, one.since).fetchone()[0])
                for one in charge.lines
            ]
            receipt = judged(charge, before, moment)
            for one in charge.entries if receipt.granted else ():
                self._run(connection, ADD, self.model, one.subject, one.until, one.rows)
            self._run(connection, SET_CLOCK, moment, self.model)
            self._charges += 1
            if self._charges % PURGE_EVERY == 1:
                self._run(connection, PURGE, self.model, moment - RETENTION)
        self._settled(moment)
        return receipt

    def buckets(self, subject: str, since: int) -> list[Entry]:
        """Reads a subject's buckets; see :meth:`Store.buckets`."""
        with self._reading() as connection:
            found = self._run(connection, BUCKETS, self.model, subject, since).fetchall()
        return [Entry(str(one), int(until), int(rows)) for one, until, rows in found]

    def subjects(self) -> list[str]:
        """Reads the subjects; see :meth:`Store.subjects`."""
        with self._reading() as connection:
            found = self._run(connection, SUBJECTS, self.model).fetchall()
        return sorted(str(subject) for (subject,) in found)

    def now(self) -> int:
        """Reads the clock; see :meth:`Store.now`."""
        with self._reading() as connection:
            return self._advanced(self._mark(connection, READ_CLOCK), self._time(connection))

    def _mark(self, connection: Connection, statement: str) -> int:
        """Returns the latest moment in the ledger, or -1, before any, where that is lost."""
        found = self._run(connection, statement, self.model).fetchone()
        return -1 if found is None else int(found[0])
