"""What targets behind a server share, whatever they are models of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from darkroom.ledger import Bill
from darkroom.remote.connection import Connection
from darkroom.remote.sender import Sender


class ServedTarget:
    """A model that others serve. Every row sent is somebody's quota: each is counted.

    Requests go over pooled connections, several at once, and are sent again when the network or
    the server fails. Asking is deterministic in all but time: the answers come in the order of the
    rows, whatever the order of their arrival.
    """

    _connection: Connection
    _bill: Bill | None = None

    @property
    def sender(self) -> Sender:
        """What sends, with its counts of rows and refusals and the limits that it was told."""
        return self._connection.sender

    @property
    def rows_sent(self) -> int:
        """Rows that the server may have seen, in all: probes, attacks and judges, and repeats."""
        return self._connection.sender.rows_sent

    @contextmanager
    def billed(self, bill: Bill) -> Iterator[None]:
        """Keeps a bill true to what the server saw, for as long as the context lasts."""
        self._bill = bill
        try:
            yield
        finally:
            self._bill = None

    def close(self) -> None:
        """Closes all connections; the target cannot be asked afterwards."""
        self._connection.close()
