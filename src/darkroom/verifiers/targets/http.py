"""Verifiers of faces, and what makes templates, behind an API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import httpx
import numpy as np

from darkroom.access import VerifierAccess
from darkroom.errors import TargetError
from darkroom.remote.connection import Connection
from darkroom.remote.delivery import Delivery
from darkroom.remote.sender import Batch
from darkroom.remote.target import ServedTarget
from darkroom.verifiers.targets.base import Encoder, Floats, Images, Labels, Verifier
from darkroom.verifiers.targets.metrics import NO_FACE, Metric
from darkroom.verifiers.targets.wire import FaceWire

ACCEPTS = 0.5
"""Between a refusal and an acceptance, where a server tells decisions alone."""


def connected(
    wire: FaceWire,
    *,
    authorized_by: str,
    delivery: Delivery | None = None,
    headers: Mapping[str, str] | None = None,
    secret_headers: Mapping[str, str] | None = None,
    secret_parameters: Mapping[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Connection:
    """Opens a connection to a server of faces; nothing is asked yet.

    Args:
        wire: How it is asked, with its address.
        authorized_by: Who allowed it: an audit sends thousands of queries to somebody's server.
        delivery: Concurrency, time-outs and retries.
        headers: Sent with each request.
        secret_headers: The same, for keys: kept out of messages, fingerprints and reports.
        secret_parameters: Parameters of the address, for keys: kept out of logs too.
        transport: Replaces the network, for tests.

    Raises:
        TargetError: If nobody allowed it, or the address is none.
    """
    return Connection(
        wire.url,
        authorized_by=authorized_by,
        name=wire.url,
        delivery=delivery or Delivery(),
        headers={**(headers or {}), "content-type": wire.content_type},
        secret_headers=secret_headers,
        secret_parameters=secret_parameters,
        transport=transport,
        answers=None if wire.no_face is None else wire.says_no_face,
    )


class ServedFaces(ServedTarget):
    """A server that knows faces, asked about one photo a request."""

    served: ClassVar[bool] = True

    def __init__(self, wire: FaceWire, connection: Connection) -> None:
        """Asks nothing yet.

        Args:
            wire: How it is asked, with its address.
            connection: Of :func:`connected`.
        """
        self.name, self.spec, self.wire = wire.url, wire.spec, wire
        self._connection = connection

    def _ask(self, images: Images, people: Sequence[str] | None) -> list[Floats | None]:
        """Returns what is answered of each photo, ``None`` where it has no face.

        Args:
            images: ``(n, channels, height, width)``.
            people: Whom each claims to show; ``None`` where templates are asked for.
        """
        return self._connection.deliver(
            len(images),
            1,
            lambda batch: self.wire.request(
                images[batch.first : batch.last], None if people is None else people[batch.first]
            ),
            self._read,
            self._bill,
        )

    def _read(self, batch: Batch, content: bytes) -> Floats | None:  # noqa: ARG002
        return self.wire.decode(content)

    def fingerprint(self) -> str:
        """Returns a hash of how the server is asked.

        Nothing else can be known: a server that changes its model keeps its fingerprint.
        """
        return hashlib.sha256(repr(self.wire.identity()).encode()).hexdigest()


class HttpEncoder(ServedFaces, Encoder):
    """An endpoint that turns a photo into a template.

    Templates are compared here, with those of the people enrolled here or with a store's.
    """

    size: int = 0

    def templates(self, images: Images) -> Floats:
        """Asks about each photo; see :meth:`Encoder.templates`."""
        found = self._ask(images, None)
        sizes = {len(one) for one in found if one is not None} | ({self.size} - {0})
        if len(sizes) > 1:
            raise TargetError(f"target {self.name}: its templates differ in size: {sorted(sizes)}")
        self.size = max(sizes, default=0)
        blank = np.full(self.size or 1, np.nan)
        rows = [blank if one is None else one for one in found]
        return np.array(rows, np.float64).reshape(len(rows), len(blank))


class HttpVerifier(ServedFaces, Verifier):
    """An endpoint that compares a photo with somebody whom its owner enrolled.

    What is enrolled, and how, is the server's business: no template is seen.

    Attributes:
        ids: What the server calls the people, by number.
    """

    def __init__(
        self, wire: FaceWire, connection: Connection, ids: Sequence[str], metric: Metric
    ) -> None:
        """Asks nothing yet.

        Args:
            wire: How it is asked, with its address.
            connection: Of :func:`connected`.
            ids: What the server calls the people.
            metric: What a score is: a similarity (``cosine``) or a distance.
        """
        super().__init__(wire, connection)
        decides = wire.answers == "decision"
        self.ids, self.people = tuple(ids), len(ids)
        self.metric = Metric.DECISION if decides else metric
        self.access = VerifierAccess.DECISION if decides else VerifierAccess.SCORE
        self.threshold = ACCEPTS if decides else None

    def scores(self, images: Images, people: Labels) -> Floats:
        """Asks about each photo; see :meth:`Verifier.scores`."""
        answers = self._ask(images, [self.ids[person] for person in people])
        of_score = self.metric.of_score
        found = [NO_FACE if one is None else of_score(float(one[0])) for one in answers]
        return np.array(found, np.float64)

    def met(self, photo: Images) -> Self:
        """Asks about a photo of the first person, so that what is wrong shows at once.

        Args:
            photo: ``(1, channels, height, width)``.

        Raises:
            TargetError: If the server cannot be reached, or answers something else than declared;
                the connection is closed then.
            BudgetExhausted: If it refuses already.
        """
        try:
            self.scores(photo, np.zeros(1, np.int64))
        except BaseException:
            self.close()
            raise
        return self

    def fingerprint(self) -> str:
        """Returns a hash of how the server is asked, of whom, and of the threshold."""
        words = repr((super().fingerprint(), self.ids, self.metric, self.threshold))
        return hashlib.sha256(words.encode()).hexdigest()


def ids_of(names: Sequence[str], told: Mapping[str, str]) -> list[str]:
    """Returns what a server calls people: their names, unless told.

    Args:
        names: Of the people, as their folders have them.
        told: For some, what the server calls them.

    Raises:
        TargetError: If it tells of somebody who is not there.
    """
    unknown = sorted(told.keys() - set(names))
    if unknown:
        raise TargetError(
            f"[target] ids names {unknown[0]!r}, who is not enrolled: give the names of the "
            f"folders, such as {names[0]!r}"
        )
    return [told.get(name, name) for name in names]
