"""A model of tables behind an API as a target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.ledger import Bill
from darkroom.remote.delivery import Delivery
from darkroom.remote.sending import Parcel
from darkroom.remote.transport import Line
from darkroom.tables.schema import Rows
from darkroom.tables.targets.base import Predictions, Scores, TableTarget, checked_predictions
from darkroom.tables.targets.wire import TableWire
from darkroom.wire.answers import TOLERANCE, probabilities
from darkroom.wire.base import Request


class HttpTableTarget(TableTarget):
    """A model of tables that others serve. Every row sent is somebody's quota: each is counted.

    Requests go over pooled connections, several at once, and are sent again when the network or
    the server fails, as :class:`darkroom.images.targets.http.HttpTarget` does.
    """

    def __init__(
        self,
        wire: TableWire,
        *,
        authorized_by: str,
        delivery: Delivery | None = None,
        tolerance: float = TOLERANCE,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        name: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Opens the line; nothing is asked yet.

        Args:
            wire: The wire format, with the model's address and the rows that it takes.
            authorized_by: Who allowed it.
            delivery: Batches, concurrency, time-outs and retries.
            tolerance: How far from one a row of probabilities may sum, for servers that round.
            headers: Sent with each request.
            secret_headers: The same, for keys: kept out of messages, fingerprints and reports.
            name: What reports call it; the address unless told.
            transport: Replaces the network, for tests.

        Raises:
            TargetError: If nobody allowed it, or the address is none.
        """
        self.name = name or wire.url
        self.schema, self._wire = wire.schema, wire
        self.access = Access.SCORES if wire.answers == "scores" else Access.LABEL
        self._tolerance = tolerance
        self._delivery = delivery or Delivery()
        self._bill: Bill | None = None
        self._line = Line(
            wire.url,
            authorized_by=authorized_by,
            name=self.name,
            delivery=self._delivery,
            headers=headers,
            secret_headers=secret_headers,
            transport=transport,
        )

    @property
    def rows_sent(self) -> int:
        """Rows that the server may have seen, in all, repeats included."""
        return self._line.sender.rows_sent

    def predict(self, rows: Rows) -> Predictions:
        """Asks the server; see :meth:`TableTarget.predict`."""
        if self.access is Access.SCORES:
            return np.asarray(self.scores(rows).argmax(axis=1), dtype=np.float64)
        found = np.concatenate([np.empty(0), *self._ask(rows)])
        if self.classes is None:
            return checked_predictions(found, len(rows), self)
        return found

    def scores(self, rows: Rows) -> Scores:
        """Asks the server; see :meth:`TableTarget.scores`."""
        if self.access is not Access.SCORES:
            return super().scores(rows)
        return np.concatenate([np.empty((0, self.classes or 0)), *self._ask(rows)])

    def _ask(self, rows: Rows) -> list[NDArray[np.float64]]:
        """Returns the answers to all rows, a part each request."""
        answers: dict[int, NDArray[np.float64]] = {}

        def pack(parcel: Parcel) -> Request:
            return self._wire.request(self.schema.decode(rows[parcel.first : parcel.last]))

        def unpack(parcel: Parcel, content: bytes) -> None:
            found = self._wire.decode(content, parcel.rows)
            if self.access is Access.SCORES:
                found = probabilities(found, "probabilities", self._tolerance)
            answers[parcel.first] = found

        sent = self._line.deliver(len(rows), self._delivery.batch, pack, unpack, self._bill)
        return [answers[parcel.first] for parcel in sent]

    @contextmanager
    def billed(self, bill: Bill) -> Iterator[None]:
        """Keeps a bill true to what the server saw; see :meth:`TableTarget.billed`."""
        self._bill = bill
        try:
            yield
        finally:
            self._bill = None

    def close(self) -> None:
        """Closes all connections; the target cannot be asked afterwards."""
        self._line.close()

    def fingerprint(self) -> str:
        """Returns a hash of how the server is asked.

        Nothing else can be known: a server that changes its model keeps its fingerprint.
        """
        return hashlib.sha256(repr((self._wire.identity(), self.schema)).encode()).hexdigest()
