"""A model of tables behind an API as a target."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar

import httpx
import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.remote.connection import Connection
from darkroom.remote.delivery import Delivery
from darkroom.remote.sender import Batch
from darkroom.remote.target import ServedTarget
from darkroom.tables.schema import Rows
from darkroom.tables.targets.base import Predictions, Scores, TableTarget, checked_predictions
from darkroom.tables.targets.wire import TableWire
from darkroom.wire.answers import TOLERANCE, probabilities


class HttpTableTarget(ServedTarget, TableTarget):
    """A model of tables that others serve."""

    served: ClassVar[bool] = True

    def __init__(
        self,
        wire: TableWire,
        *,
        authorized_by: str,
        delivery: Delivery | None = None,
        tolerance: float = TOLERANCE,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        secret_parameters: Mapping[str, str] | None = None,
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
            secret_parameters: Parameters of the address, for keys: kept out of logs too.
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
        self._connection = Connection(
            wire.url,
            authorized_by=authorized_by,
            name=self.name,
            delivery=self._delivery,
            headers=headers,
            secret_headers=secret_headers,
            secret_parameters=secret_parameters,
            transport=transport,
        )

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

        def read(batch: Batch, content: bytes) -> NDArray[np.float64]:
            found = self._wire.decode(content, batch.rows)
            if self.access is not Access.SCORES:
                return found
            return probabilities(found, "probabilities", self._tolerance)

        return self._connection.deliver(
            len(rows),
            self._delivery.batch,
            lambda batch: self._wire.request(self.schema.decode(rows[batch.first : batch.last])),
            read,
            self._bill,
        )

    def fingerprint(self) -> str:
        """Returns a hash of how the server is asked.

        Nothing else can be known: a server that changes its model keeps its fingerprint.
        """
        return hashlib.sha256(repr((self._wire.identity(), self.schema)).encode()).hexdigest()
