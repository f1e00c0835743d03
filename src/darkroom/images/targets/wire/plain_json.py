"""Any other server that takes JSON and answers JSON, with a path to the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.images.targets.wire.base import Wire
from darkroom.vision.encoding import Encoding, encoded
from darkroom.vision.pixels import ChannelOrder
from darkroom.vision.spec import ImageSpec
from darkroom.wire.base import Decoded, Request, Shows, dumped
from darkroom.wire.paths import AnswerPath, placed
from darkroom.wire.rows import decode_rows


class PlainJson(Wire):
    """``POST URL``, images under one key, scores under a path.

    The path is a JMESPath expression: ``scores``, ``predictions[*].probabilities``. It must give
    one entry a row, in the order of the images; with ``one_by_one``, the single row's entry. V1 of
    the KServe protocol is ``inputs = "instances"`` with ``path = "predictions"``.
    """

    def __init__(
        self,
        url: str,
        spec: ImageSpec,
        *,
        inputs: str = "inputs",
        path: str = "scores",
        extra: Mapping[str, Any] | None = None,
        shows: Shows | None = None,
        encoding: Encoding = "numbers",
        channels: ChannelOrder = "first",
        one_by_one: bool = False,
    ) -> None:
        """Takes the endpoint and where things are in the two bodies.

        Args:
            url: The endpoint.
            spec: The images that it takes.
            inputs: The key of the images, dots between nested keys.
            path: Where the answer has its scores.
            extra: What the request holds besides.
            shows: What the answers show.
            encoding: How images are written.
            channels: Where numbers and rows have their channels.
            one_by_one: Whether a request holds an image itself, not a list of images.

        Raises:
            TargetError: If the path is no JMESPath expression, or the key of the images is taken.
        """
        self.url, self.spec = url, spec
        self.inputs, self.path = inputs, path
        self.extra = dict(extra or {})
        self.shows = shows or Shows()
        self.encoding: Encoding = encoding
        self.channels: ChannelOrder = channels
        self.largest_batch = 1 if one_by_one else None
        self.one_by_one = one_by_one
        self._path = AnswerPath(self.path)
        placed(self.extra, inputs, None)

    def request(self, images: NDArray[np.float32]) -> Request:
        """Returns the images under their key, with whatever else the server wants."""
        entries = encoded(images, self.encoding, self.channels, self.spec)
        body = placed(self.extra, self.inputs, entries[0] if self.one_by_one else entries)
        return Request(self.url, dumped(body))

    def decode(self, content: bytes, rows: int) -> Decoded:
        """Returns what is found at the path; see :meth:`Wire.decode`."""
        found = self._path.find(content)
        return decode_rows([found] if self.one_by_one else found, rows, self.shows)

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the model is asked."""
        kept = (self.inputs, self.path, self.encoding, self.channels, self.one_by_one)
        return ("json", self.url, self.shows, repr(sorted(self.extra.items())), *kept)
