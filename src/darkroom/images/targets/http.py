"""A model behind an API as a target."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.images.targets.wire.base import Wire
from darkroom.remote.connection import Connection
from darkroom.remote.delivery import Delivery
from darkroom.remote.retries import FIRST_CONTACT, Missed
from darkroom.remote.target import ServedTarget
from darkroom.vision.pixels import probe_images
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import (
    TOLERANCE,
    AnswerError,
    Outputs,
    TopK,
    look_like_probabilities,
    probabilities,
)
from darkroom.wire.base import Decoded

_Result = TypeVar("_Result")


class HttpTarget(ServedTarget, Target):
    """A classifier of images that others serve."""

    served: ClassVar[bool] = True

    # long: takes all that a connection does, and passes it on
    def __init__(
        self,
        wire: Wire,
        shape: Sequence[int],
        *,
        authorized_by: str,
        value_range: tuple[float, float] = (0.0, 1.0),
        outputs: Outputs = "probabilities",
        tolerance: float = TOLERANCE,
        delivery: Delivery | None = None,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        secret_parameters: Mapping[str, str] | None = None,
        name: str | None = None,
        seed: int = 0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Asks the server what it serves, as far as the protocol tells, and two blank images.

        Args:
            wire: The wire format, with the model's address and what its answers show.
            shape: ``(channels, height, width)``.
            authorized_by: Who allowed it: an audit sends thousands of queries to somebody's
                server.
            value_range: The values of black and of full intensity.
            outputs: Whether the server answers probabilities or logits.
            tolerance: How far from one a row of probabilities may sum, for servers that round.
            delivery: Batches, concurrency, time-outs and retries.
            headers: Sent with each request.
            secret_headers: The same, for keys: kept out of messages, fingerprints and reports.
            secret_parameters: Parameters of the address, for keys: kept out of logs too.
            name: What reports call it; the address unless told.
            seed: For the jitter of waiting times; no answer depends on it.
            transport: Replaces the network, for tests.

        Raises:
            TargetError: If nobody allowed it, the address is none, the server cannot be reached,
                or it answers something else than declared.
        """
        self.spec = ImageSpec.of(shape, value_range)
        self.name = name or wire.url
        self.access = wire.shows.access
        self.outputs = "labels" if self.access is Access.LABEL else outputs
        self._outputs: Outputs = outputs
        self._tolerance = tolerance
        self._wire = wire
        self._delivery = delivery or Delivery()
        self._batch = min(self._delivery.batch, wire.largest_batch or self._delivery.batch)
        self.classes = 0  # not known before the first answer
        self._connection = Connection(
            wire.url,
            authorized_by=authorized_by,
            name=self.name,
            delivery=self._delivery,
            headers=headers,
            secret_headers=secret_headers,
            secret_parameters=secret_parameters,
            seed=seed,
            transport=transport,
        )
        try:
            self._version = self._connection.run(self._introduced())
            self.classes = self._probe()
        except BaseException:
            self.close()
            raise

    @property
    def largest_k(self) -> int:
        """How many classes an answer names."""
        return self.classes if self._wire.shows.k is None else self._wire.shows.k

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the confidence of every class; see :meth:`Target.scores`."""
        if self.access is not Access.SCORES:
            return super().scores(images)
        return np.concatenate([np.empty((0, self.classes)), *self._ask(images)])

    def top_k(self, images: NDArray[np.float32], k: int) -> TopK:
        """Returns the best ``k`` classes; see :meth:`Target.top_k`."""
        if self.access is not Access.TOP_K:
            return super().top_k(images, k)
        self._check_k(k)
        answers = self._ask(images)
        largest = self.largest_k
        classes = [np.empty((0, largest), np.int64), *(one.classes for one in answers)]
        scores = [np.empty((0, largest)), *(one.scores for one in answers)]
        return TopK(np.concatenate(classes)[:, :k], np.concatenate(scores)[:, :k])

    def labels(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Returns the winning class of each row; see :meth:`Target.labels`."""
        if self.access is not Access.LABEL:
            return super().labels(images)
        return np.concatenate([np.empty(0, np.int64), *self._ask(images)])

    def fingerprint(self) -> str:
        """Returns a hash of how the server is asked and of what it says its model is.

        Nothing else can be known: a server that changes its model without saying so keeps its
        fingerprint.
        """
        decisive = (self._wire.identity(), self.spec, self.outputs, self._version, self.classes)
        return hashlib.sha256(repr(decisive).encode()).hexdigest()

    def _ask(self, images: NDArray[np.float32]) -> list[Any]:
        """Returns the answers to all images, a part each request."""
        return self._connection.deliver(
            len(images),
            self._batch,
            lambda batch: self._wire.request(images[batch.first : batch.last]),
            lambda batch, content: self._checked(self._wire.decode(content, batch.rows)),
            self._bill,
        )

    def _checked(self, answer: Decoded) -> Decoded:
        """Checks scores and turns them into probabilities."""
        if self.access is not Access.SCORES:
            return answer
        assert isinstance(answer, np.ndarray)
        scores = answer.astype(np.float64, copy=False)
        if scores.shape[1] < 2:
            raise AnswerError("its rows are single numbers: two classes are needed at least")
        if self.classes not in (0, scores.shape[1]):
            raise AnswerError(f"its rows have {scores.shape[1]} scores, not {self.classes}")
        if not self.classes and self._outputs == "logits" and look_like_probabilities(scores):
            raise AnswerError(
                'it holds probabilities, not logits: set [target] outputs = "probabilities"'
            )
        return probabilities(scores, self._outputs, self._tolerance)

    def _probe(self) -> int:
        """Asks two blank images and returns the number of classes."""
        answer = self._ask(probe_images(self.spec))[0]
        names = self._wire.shows.names
        return int(answer.shape[1]) if names is None else names.count

    async def _introduced(self) -> str:
        """Waits for the server and returns what it says of the model's version.

        Raises:
            TargetError: If the server is not there, or its model takes other images.
        """
        url = self._wire.metadata_url
        if self._wire.ready_url is not None:
            await self._met(self._wire.ready_url)
        content = None if url is None else await self._met(url)
        if content is None:
            return ""
        try:
            return self._wire.check_metadata(content, self.spec)
        except AnswerError as error:
            raise TargetError(f"target {self.name}: the server says that {error}") from error

    async def _met(self, url: str) -> bytes | None:
        """Asks for something that the protocol has; ``None`` when the server has it not."""
        until = time.monotonic() + min(FIRST_CONTACT, self._delivery.patience)
        while True:
            try:
                return await self.sender.exchange.send("GET", url)
            except TargetError:
                return None
            except Missed as missed:
                if time.monotonic() >= until:
                    raise TargetError(
                        f"target {self.name}: not ready within {FIRST_CONTACT:g} s ({missed}): "
                        "start the server, or check [target] url and model"
                    ) from missed
            await asyncio.sleep(min(self._delivery.backoff, 1.0))
