"""Hugging Face inference: image classification, in the hosted and the container form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.wire.base import Wire
from darkroom.vision.encoding import Encoding, encoded
from darkroom.vision.pixels import ChannelOrder
from darkroom.vision.spec import ImageSpec
from darkroom.wire.base import Decoded, Request, Shows, dumped, parsed
from darkroom.wire.rows import decode_rows


class HuggingFace(Wire):
    """``POST URL`` with ``{"inputs", "parameters": {"function_to_apply", "top_k"}}``.

    Answers ``[{"label", "score"}]``, nested when there are several inputs. Images go as PNG in
    base64, as the pipelines take them, so the server sees 256 levels of each colour.
    """

    def __init__(
        self,
        url: str,
        spec: ImageSpec,
        shows: Shows,
        *,
        encoding: Encoding = "png",
        channels: ChannelOrder = "first",
    ) -> None:
        """Takes the model's address.

        Args:
            url: The endpoint.
            spec: The images that it takes.
            shows: What the answers show; the classes must be known, since the server puts the
                best first and so says nothing of their order.
            encoding: How images are written; a custom handler may take numbers.
            channels: Where numbers have their channels.

        Raises:
            TargetError: If the classes are unknown, or labels alone are expected.
        """
        if shows.names is None:
            raise TargetError(
                "a Hugging Face server names classes in the order of their scores: set [target] "
                "classes to their names in the model's order, or to how many there are"
            )
        if shows.access is Access.LABEL:
            raise TargetError(
                'a Hugging Face server tells scores: set [target] answers = "top_k" and k = 1'
            )
        self.url, self.spec, self.shows = url, spec, shows
        self.encoding: Encoding = encoding
        self.channels: ChannelOrder = channels
        self._wanted = shows.names.count if shows.k is None else shows.k

    def request(self, images: NDArray[np.float32]) -> Request:
        """Returns one input, or a list of them."""
        inputs: Any = encoded(images, self.encoding, self.channels, self.spec)
        parameters = {"function_to_apply": "softmax", "top_k": self._wanted}
        body = {"inputs": inputs[0] if len(inputs) == 1 else inputs, "parameters": parameters}
        return Request(self.url, dumped(body))

    def decode(self, content: bytes, rows: int) -> Decoded:
        """Returns what a list of labels with scores says; see :meth:`Wire.decode`."""
        answer = parsed(content)
        nested = isinstance(answer, list) and bool(answer) and isinstance(answer[0], list)
        return decode_rows(answer if nested or rows > 1 else [answer], rows, self.shows)

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the model is asked."""
        return ("hugging-face", self.url, self.shows, self.encoding, self.channels)
