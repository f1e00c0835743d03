"""What stores in SQL share: a ledger of rows, its sums and its clock, in one transaction."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from darkroom.guard.stores.base import (
    MEND,
    RETENTION,
    Charge,
    Entry,
    Ledger,
    Line,
    Make,
    Receipt,
    Store,
    StoreError,
    judged,
    new_identity,
)

READ = "SELECT identity, mark, turn, rows FROM darkroom_ledgers WHERE model = ?"
BEGIN = """
INSERT INTO darkroom_ledgers (model, identity, mark, turn, rows)
VALUES (?, ?, 0, 0, (SELECT coalesce(sum(rows), 0) FROM darkroom_ledger WHERE model = ?))
"""
ADOPT = """
INSERT INTO darkroom_subjects (model, subject, rows)
SELECT model, subject, sum(rows) FROM darkroom_ledger WHERE model = ? GROUP BY model, subject
"""
DISCARD = tuple(
    f"DELETE FROM {table} WHERE model = ?"  # noqa: S608 - names of ours
    for table in ("darkroom_ledger", "darkroom_subjects", "darkroom_ledgers")
)
ADVANCE = """
UPDATE darkroom_ledgers SET mark = ?, turn = turn + 1, rows = rows + ? WHERE model = ?
"""
ALL = "SELECT coalesce(sum(rows), 0) FROM darkroom_subjects WHERE model = ?"
SUMS = """
SELECT coalesce(sum(CASE WHEN until > ? THEN rows END), 0), coalesce(sum(rows), 0),
  coalesce((SELECT rows FROM darkroom_subjects WHERE model = ? AND subject = ?), 0)
FROM darkroom_ledger WHERE model = ? AND subject = ?
"""
"""What counts in a window, all that is there, and all that was charged."""
KEEP = """
INSERT INTO darkroom_subjects (model, subject, rows) VALUES (?, ?, ?)
ON CONFLICT (model, subject) DO UPDATE SET rows = darkroom_subjects.rows + excluded.rows
"""
ADD = """
INSERT INTO darkroom_ledger (model, subject, until, rows) VALUES (?, ?, ?, ?)
ON CONFLICT (model, subject, until) DO UPDATE SET rows = darkroom_ledger.rows + excluded.rows
"""
TAKE = """
UPDATE darkroom_ledger SET rows = rows - ? WHERE model = ? AND subject = ? AND until = ?
"""
OLD = """
SELECT subject, sum(rows) FROM darkroom_ledger WHERE model = ? AND until < ? GROUP BY subject
"""
LESS = "UPDATE darkroom_ledgers SET rows = rows - ? WHERE model = ?"
PURGE = "DELETE FROM darkroom_ledger WHERE model = ? AND until < ?"
OPENED = """
SELECT coalesce(sum(rows), 0) FROM darkroom_ledger WHERE model = ? AND subject = ? AND until > ?
"""
BUCKETS = """
SELECT subject, until, rows FROM darkroom_ledger
WHERE model = ? AND subject = ? AND until > ? ORDER BY until
"""
SUBJECTS = "SELECT DISTINCT subject FROM darkroom_ledger WHERE model = ?"
SOUND = """
SELECT l.rows,
  (SELECT coalesce(sum(rows), 0) FROM darkroom_subjects WHERE model = l.model),
  (SELECT coalesce(sum(rows), 0) FROM darkroom_ledger WHERE model = l.model),
  (SELECT count(*) FROM darkroom_subjects s WHERE s.model = l.model AND s.rows <>
    (SELECT coalesce(sum(e.rows), 0) FROM darkroom_ledger e
     WHERE e.model = s.model AND e.subject = s.subject)),
  (SELECT count(*) FROM darkroom_ledger WHERE model = l.model AND rows < 0)
FROM darkroom_ledgers l WHERE l.model = ?
"""
"""One statement, so that it sees one state."""
REMEMBERED = "SELECT protection FROM darkroom_ledgers WHERE model = ?"
REMEMBER = "UPDATE darkroom_ledgers SET protection = ? WHERE model = ?"

PURGE_EVERY = 500
"""Charges between two looks for buckets that no window reaches any more."""

Connection = TypeVar("Connection")


class SqlStore(Store, Generic[Connection]):
    """Budgets in three tables: rows by model, subject and bucket; sums by subject; the ledgers.

    Attributes:
        lock: What reading a ledger ends with where a transaction locks nothing when it begins.
    """

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

    @abstractmethod
    def _has_tables(self, connection: Connection) -> bool:
        """Tells whether the tables are there."""

    @abstractmethod
    def _make_tables(self, connection: Connection) -> None:
        """Makes the tables that are not there."""

    def _time(self, connection: Connection) -> float:  # noqa: ARG002 - for clocks of servers
        """Returns the seconds since 1970 that count."""
        return self.clock()

    def ledger(self) -> Ledger | None:
        """Reads the ledger; see :meth:`Store.ledger`."""
        with self._reading() as connection:
            return self._read(connection, READ)

    def begin(self, *, discard: bool = False) -> Ledger:
        """Begins one; see :meth:`Store.begin`."""
        self.connect()
        with self._transaction() as connection:
            self._make_tables(connection)
            for statement in DISCARD if discard else ():
                self._run(connection, statement, self.model)
            found = self._read(connection, READ)
            if found is None:
                self._run(connection, BEGIN, self.model, new_identity(), self.model)
                self._run(connection, ADOPT, self.model)
                found = self._read(connection, READ)
        assert found is not None
        return found

    def charge(self, make: Make) -> Receipt:
        """Charges in one transaction; see :meth:`Store.charge`."""
        if self._known is None:
            self.open()
        with self._transaction() as connection:
            found = self._recognised(self._read(connection, READ + self.lock))
            moment = self._moment(found, self._time(connection))
            charge = make(moment)
            self._require_all(connection, found)
            before = self._before(connection, charge)
            receipt = judged(
                charge, before, moment, lambda line: self._raised(connection, line, moment)
            )
            changed = self._change(connection, charge, granted=receipt.granted)
            self._run(connection, ADVANCE, moment, changed, self.model)
            self._charges += 1
            if self._charges % PURGE_EVERY == 1:
                self._purge(connection, moment - RETENTION)
        self._known = found._replace(turn=found.turn + 1, mark=moment)
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
            found = self._recognised(self._read(connection, READ))
            return self._moment(found, self._time(connection))

    def check(self) -> None:
        """Makes sure that rows and sums agree; see :meth:`Store.check`."""
        with self._reading() as connection:
            found = self._run(connection, SOUND, self.model).fetchone()
        if found is None:
            self._recognised(None)
        whole, subjects, rows, differing, negative = map(int, found)
        if not (whole == subjects == rows) or differing or negative:
            raise StoreError(
                f"{self.title}: the ledger of {self.model} is damaged: {whole} rows were charged, "
                f"and {rows} are there; {MEND}"
            )

    def remembered(self) -> str | None:
        """Reads what was kept; see :meth:`Store.remembered`."""
        with self._reading() as connection:
            found = self._run(connection, REMEMBERED, self.model).fetchone()
        return None if found is None or found[0] is None else str(found[0])

    def remember(self, text: str) -> None:
        """Keeps a text; see :meth:`Store.remember`."""
        with self._transaction() as connection:
            self._run(connection, REMEMBER, text, self.model)

    def _read(self, connection: Connection, statement: str) -> Ledger | None:
        if self._known is None and not self._has_tables(connection):
            return None
        found = self._run(connection, statement, self.model).fetchone()
        if found is None:
            return None
        identity, mark, turn, rows = found
        return Ledger(str(identity), int(mark), int(turn), int(rows))

    def _require_all(self, connection: Connection, found: Ledger) -> None:
        """Makes sure that no subject is missing.

        Raises:
            StoreError: If one is.
        """
        if int(self._run(connection, ALL, self.model).fetchone()[0]) != found.rows:
            raise self._lacks("a subject")

    def _before(self, connection: Connection, charge: Charge) -> list[int]:
        """Takes back what a charge returns, and returns what each of its lines sums to.

        Raises:
            StoreError: If rows are not there that were charged.
        """
        left = charge.subjects - {one.subject for one in charge.lines}
        for subject in left:
            self._sum(connection, subject, 0)
        sums = [self._sum(connection, one.subject, one.since) for one in charge.lines]
        for one in charge.returns:
            place = (self.model, one.subject, one.until)
            if self._run(connection, TAKE, one.rows, *place).rowcount != 1:
                raise self._lacks(one.subject)
        return [
            sum_ - sum(one.rows for one in charge.returns if one.counts_in(line))
            for line, sum_ in zip(charge.lines, sums, strict=True)
        ]

    def _sum(self, connection: Connection, subject: str, since: int) -> int:
        place = (self.model, subject)
        counted, there, charged = self._run(connection, SUMS, since, *place, *place).fetchone()
        if int(there) != int(charged):
            raise self._lacks(subject)
        return int(counted)

    def _raised(self, connection: Connection, line: Line, moment: int) -> int:
        """Returns by how much a line's limit is raised at a moment."""
        found = [
            self._run(connection, OPENED, self.model, subject, moment).fetchone()[0]
            for subject in line.opened
        ]
        return sum(map(int, found))

    def _change(self, connection: Connection, charge: Charge, *, granted: bool) -> int:
        """Adds what is granted, keeps the subjects' sums, and returns by how much all changed."""
        changes: Counter[str] = Counter()
        for one in charge.returns:
            changes[one.subject] -= one.rows
        for one in charge.entries if granted else ():
            self._run(connection, ADD, self.model, one.subject, one.until, one.rows)
            changes[one.subject] += one.rows
        for subject, rows in changes.items():
            self._run(connection, KEEP, self.model, subject, rows)
        return sum(changes.values())

    def _purge(self, connection: Connection, before: int) -> None:
        old = self._run(connection, OLD, self.model, before).fetchall()
        for subject, rows in old:
            self._run(connection, KEEP, self.model, subject, -int(rows))
        self._run(connection, PURGE, self.model, before)
        gone = sum(int(rows) for _, rows in old)
        self._run(connection, LESS, gone, self.model)
