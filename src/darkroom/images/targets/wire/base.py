"""What every wire format is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from darkroom.vision.spec import ImageSpec
from darkroom.wire.base import Decoded, Request, Shows


class Wire(ABC):
    """A wire format with the address of one model.

    Attributes:
        url: Where the model is; reports name it.
        shows: What its answers show.
        largest_batch: The most rows that one request can hold; ``None`` for no limit.
        metadata_url: What describes the model, asked once at the start; ``None`` for nothing.
        ready_url: What says whether the model is loaded; ``None`` for nothing.
    """

    url: str
    shows: Shows
    largest_batch: int | None = None
    metadata_url: str | None = None
    ready_url: str | None = None

    @abstractmethod
    def request(self, images: NDArray[np.float32]) -> Request:
        """Returns what asks about images, ``(rows, channels, height, width)``, one at least."""

    @abstractmethod
    def decode(self, content: bytes, rows: int) -> Decoded:
        """Returns what an answer says.

        Numbers are finite where JSON is; whether they are probabilities is for the caller to
        check, except in a ``TopK``, which comes checked and sorted.

        Args:
            content: The answer's body, whatever came.
            rows: How many images were asked about.

        Raises:
            AnswerError: If it is no answer to so many rows.
        """

    @abstractmethod
    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how this model is asked, for a fingerprint."""

    def check_metadata(self, content: bytes, spec: ImageSpec) -> str:  # noqa: ARG002
        """Checks what the server says of the model and returns what identifies its version.

        What cannot be read is passed over: the answers themselves are checked.

        Raises:
            AnswerError: If the model takes other images than ``spec`` has.
        """
        return ""
