"""TorchServe: one row a request, which the server batches by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.targets.wire.base import Wire
from darkroom.vision.encoding import encoded
from darkroom.vision.pixels import ChannelOrder
from darkroom.vision.spec import ImageSpec
from darkroom.wire.base import Decoded, Request, Shows, dumped, joined, parsed
from darkroom.wire.rows import decode_rows


class TorchServe(Wire):
    """``POST /predictions/MODEL[/VERSION]`` with an image as nested lists of numbers.

    That is what the server's own image handlers turn into a tensor as it is, without the resizing
    that they do to pictures. ``image_classifier`` answers ``{label: score}`` for the five best
    classes; other handlers answer a list of scores. ``/explanations`` is never asked.
    """

    largest_batch = 1

    def __init__(
        self,
        server: str,
        model: str,
        spec: ImageSpec,
        *,
        version: str | None = None,
        shows: Shows | None = None,
        channels: ChannelOrder = "first",
    ) -> None:
        """Takes the model's address.

        Args:
            server: Such as ``http://127.0.0.1:8080``, the inference address.
            model: The model's name on the server.
            spec: The images that it takes.
            version: Its version; the server's choice when left out.
            shows: What the answers show.
            channels: Where the model has its channels.
        """
        where = "" if version is None else f"/{version}"
        self.url = joined(server, f"predictions/{model}{where}")
        self.spec, self.channels = spec, channels
        self.shows = shows or Shows()

    def request(self, images: NDArray[np.float32]) -> Request:
        """Returns one image as nested lists."""
        assert len(images) == 1, "TorchServe takes one row a request"
        image = encoded(images, "numbers", self.channels, self.spec)[0]
        return Request(self.url, dumped(image))

    def decode(self, content: bytes, rows: int) -> Decoded:
        """Returns what the answer to one image says; see :meth:`Wire.decode`."""
        answer = parsed(content)
        # A handler that does not take its batch apart answers a list of one row.
        single = isinstance(answer, list) and len(answer) == 1 and self.shows.access != Access.LABEL
        return decode_rows(answer if single else [answer], rows, self.shows)

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the model is asked."""
        return ("torchserve", self.url, self.shows, self.channels)
