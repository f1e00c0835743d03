"""Budgets in PostgreSQL, for several hosts that share them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from darkroom.errors import MissingExtraError, one_line
from darkroom.guard.stores.base import (
    RETENTION,
    Clock,
    Entry,
    Make,
    Receipt,
    Store,
    StoreError,
    judged,
)

try:
    import psycopg
except ImportError as error:  # pragma: no cover - depends on the installation
    raise MissingExtraError("psycopg", "postgres") from error

SCHEMA = """
CREATE TABLE IF NOT EXISTS darkroom_clock (model text PRIMARY KEY, mark bigint NOT NULL);
CREATE TABLE IF NOT EXISTS darkroom_ledger (
  model text NOT NULL, subject text NOT NULL, until bigint NOT NULL,
  rows bigint NOT NULL CHECK (rows >= 0),
  PRIMARY KEY (model, subject, until));
"""
LOCK = 7_231_942_058
"""An advisory lock of ours, held while the tables are made."""

SUM = """
SELECT coalesce(sum(rows), 0)::bigint FROM darkroom_ledger
WHERE model = %s AND subject = %s AND until > %s
"""
ADD = """
INSERT INTO darkroom_ledger (model, subject, until, rows) VALUES (%s, %s, %s, %s)
ON CONFLICT (model, subject, until) DO UPDATE SET rows = darkroom_ledger.rows + excluded.rows
"""
TAKE = """
UPDATE darkroom_ledger SET rows = rows - %s WHERE model = %s AND subject = %s AND until = %s
"""
PURGE_EVERY = 500

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresStore(Store):
    """Budgets in two tables.

    A charge locks the model's clock first, so charges of one model come one after the other, and
    commits with ``synchronous_commit`` on. The clock is the server's, so that hosts need not agree.
    """

    def __init__(
        self, model: str, url: str, *, patience: float = 2.0, clock: Clock | None = None
    ) -> None:
        """Takes the address; :meth:`open` connects.

        Args:
            model: As the policy has it.
            url: Such as ``postgresql://user:password@host/database``.
            patience: Seconds to wait for the server or for a lock.
            clock: A clock instead of the server's.
        """
        super().__init__(model, clock or time.time)
        self._own_clock = clock
        self._url, self._patience = url, patience
        self._connection: Connection | None = None
        self._charges = 0

    def open(self) -> None:
        """Connects, makes the tables, and checks durability; see :meth:`Store.open`."""
        if self._connection is not None:
            return
        milliseconds = round(self._patience * 1000)
        options = (
            f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds} "
            "-c synchronous_commit=on -c default_transaction_isolation=read\\ committed"
        )
        connection = None
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=max(2, round(self._patience)),
                options=options,
                tcp_user_timeout=milliseconds,
            )
            if connection.execute("SHOW fsync").fetchone() != ("on",):
                raise StoreError("PostgreSQL may forget charges: set fsync = on")
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                connection.execute(SCHEMA)
                connection.execute(
                    "INSERT INTO darkroom_clock VALUES (%s, 0) ON CONFLICT DO NOTHING",
                    (self.model,),
                )
        except psycopg.Error as error:
            if connection is not None:
                connection.close()
            raise _broken(error) from error
        except StoreError:
            if connection is not None:
                connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Disconnects; see :meth:`Store.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def charge(self, make: Make) -> Receipt:
        """Charges in one transaction; see :meth:`Store.charge`."""
        with self._connected() as connection, connection.transaction():
            found = connection.execute(
                "SELECT mark FROM darkroom_clock WHERE model = %s FOR UPDATE", (self.model,)
            ).fetchone()
            moment = self._advanced(-1 if found is None else int(found[0]), self._time(connection))
            charge = make(moment)
            for entry in charge.returns:
                values = (entry.rows, self.model, entry.subject, entry.until)
                if connection.execute(TAKE, values).rowcount != 1:
                    raise StoreError(f"the PostgreSQL store lost the rows of {entry.subject}")
            before = [
                int(self._one(connection, SUM, (self.model, line.subject, line.since)))
                for line in charge.lines
            ]
            receipt = judged(charge, before, moment)
            if receipt.granted:
                for entry in charge.entries:
                    connection.execute(ADD, (self.model, entry.subject, entry.until, entry.rows))
            connection.execute(
                "UPDATE darkroom_clock SET mark = %s WHERE model = %s", (moment, self.model)
            )
            self._charges += 1
            if self._charges % PURGE_EVERY == 1:
                connection.execute(
                    "DELETE FROM darkroom_ledger WHERE model = %s AND until < %s",
                    (self.model, moment - RETENTION),
                )
        self._settled(moment)
        return receipt

    def buckets(self, subject: str, since: int) -> list[Entry]:
        """Reads a subject's buckets; see :meth:`Store.buckets`."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT subject, until, rows FROM darkroom_ledger "
                "WHERE model = %s AND subject = %s AND until > %s ORDER BY until",
                (self.model, subject, since),
            ).fetchall()
        return [Entry(str(one), int(until), int(rows)) for one, until, rows in found]

    def subjects(self) -> list[str]:
        """Reads the subjects; see :meth:`Store.subjects`."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT DISTINCT subject FROM darkroom_ledger WHERE model = %s", (self.model,)
            ).fetchall()
        return sorted(str(subject) for (subject,) in found)

    def now(self) -> int:
        """Reads the clock; see :meth:`Store.now`."""
        with self._connected() as connection:
            mark = self._one(
                connection, "SELECT mark FROM darkroom_clock WHERE model = %s", (self.model,)
            )
            return self._advanced(int(mark), self._time(connection))

    def check(self) -> None:
        """Makes sure that no bucket holds less than nothing; see :meth:`Store.check`."""
        with self._connected() as connection:
            wrong = self._one(
                connection,
                "SELECT count(*) FROM darkroom_ledger WHERE model = %s AND rows < 0",
                (self.model,),
            )
        if wrong:
            raise StoreError(f"the PostgreSQL store of {self.model} is damaged")

    def _time(self, connection: Connection) -> float:
        if self._own_clock is not None:
            return self._own_clock()
        return float(
            self._one(connection, "SELECT extract(epoch FROM clock_timestamp())::float8", ())
        )

    @staticmethod
    def _one(connection: Connection, statement: str, values: tuple[object, ...]) -> Any:
        found = connection.execute(statement, values).fetchone()
        if found is None:
            raise StoreError("the PostgreSQL store has lost what it held: restart the guard")
        return found[0]

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        if self._connection is None:
            self.open()
        assert self._connection is not None
        try:
            yield self._connection
        except psycopg.Error as error:
            # The connection may be in any state; the next charge makes a new one.
            self.close()
            raise _broken(error) from error


def _broken(error: psycopg.Error) -> StoreError:
    return StoreError(f"PostgreSQL failed ({one_line(error)})")
