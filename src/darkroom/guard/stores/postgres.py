"""Budgets in PostgreSQL, for several hosts that share them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from darkroom.errors import MissingExtraError, one_line
from darkroom.guard.stores.base import Clock, StoreError
from darkroom.guard.stores.sql import SqlStore
from darkroom.redaction import secrets_of, without

try:
    import psycopg
except ImportError as error:  # pragma: no cover - depends on the installation
    raise MissingExtraError("psycopg", "postgres") from error

SCHEMA = """
CREATE TABLE IF NOT EXISTS darkroom_ledger (
  model text NOT NULL, subject text NOT NULL, until bigint NOT NULL,
  rows bigint NOT NULL CHECK (rows >= 0),
  PRIMARY KEY (model, subject, until));
CREATE TABLE IF NOT EXISTS darkroom_subjects (
  model text NOT NULL, subject text NOT NULL, rows bigint NOT NULL,
  PRIMARY KEY (model, subject));
CREATE TABLE IF NOT EXISTS darkroom_ledgers (
  model text PRIMARY KEY, identity text NOT NULL, mark bigint NOT NULL, turn bigint NOT NULL,
  rows bigint NOT NULL, protection text);
"""
LOCK = 7_231_942_058
"""An advisory lock of ours, held while the tables are made."""

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


class PostgresStore(SqlStore[Connection]):
    """Budgets in three tables.

    A charge locks the model's ledger first, so charges of one model come one after the other, and
    commits with ``synchronous_commit`` on. The clock is the server's, so that hosts need not agree.
    """

    title = "the PostgreSQL store"
    lock = " FOR UPDATE"

    def __init__(
        self,
        model: str,
        url: str,
        *,
        patience: float = 2.0,
        clock: Clock | None = None,
        create: bool = False,
    ) -> None:
        """Takes the address; :meth:`open` connects.

        Args:
            model: As the policy has it.
            url: Such as ``postgresql://user:password@host/database``.
            patience: Seconds to wait for the server or for a lock.
            clock: A clock instead of the server's.
            create: Whether a ledger is begun where there is none.
        """
        super().__init__(model, clock or time.time, create=create)
        self._own_clock = clock
        self._url, self._patience = url, patience
        self._connection: Connection | None = None

    def connect(self) -> None:
        """Connects, and checks durability; see :meth:`Store.connect`."""
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
        except psycopg.Error as error:
            if connection is not None:
                connection.close()
            raise self._broken(error) from None
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

    def _has_tables(self, connection: Connection) -> bool:
        found = connection.execute("SELECT to_regclass('darkroom_ledgers')").fetchone()
        return found is not None and found[0] is not None

    def _make_tables(self, connection: Connection) -> None:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(SCHEMA)

    def _run(self, connection: Connection, statement: str, *values: Any) -> Cursor:
        return connection.execute(statement.replace("?", "%s").encode(), values)

    def _time(self, connection: Connection) -> float:
        if self._own_clock is not None:
            return self._own_clock()
        found = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(found.fetchall()[0][0])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._reading() as connection, connection.transaction():
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._connection is None:
            self.open()
        assert self._connection is not None
        try:
            yield self._connection
        except psycopg.Error as error:
            # The connection may be in any state; the next charge makes a new one.
            self.close()
            raise self._broken(error) from None

    def _broken(self, error: psycopg.Error) -> StoreError:
        said = without(one_line(error), secrets_of(self._url))
        return StoreError(f"PostgreSQL failed ({said})")
