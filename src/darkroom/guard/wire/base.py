"""What every wire format can do for the guard: understand a request, and rewrite an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class Refused(Exception):  # noqa: N818 - it says what happened to a request, and is no failure
    """A request or an answer that does not pass; becomes an answer of type problem+json.

    Attributes:
        status: The HTTP status.
        title: What kind of refusal it is, in a few words.
        detail: What is wrong with this one; shown to the client, so it never quotes the upstream.
    """

    def __init__(self, status: int, title: str, detail: str) -> None:
        """Takes the status and the two texts."""
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail


Inputs = Callable[[], NDArray[np.float64]]


@dataclass(slots=True)
class Tokens:
    """Tokens of one request to a language model: of its prompts and of what it writes.

    Attributes:
        most: No more than so many can be taken.
        body: The request in a form in which the server tells how many it took; ``None`` where it
            does so anyway.
        prompt: How many the answer says that the prompts took.
        completion: How many it says that were written; ``None`` until it says so.
        pieces: How many pieces of text a stream has sent, each a token or more.
        asked: No more than so many can be the prompts'.
        written: No more than so many can be written, if the server heeds what bounds them.
        open: Whether a stream has not come to its end, so that more may be written than it told.
    """

    most: int
    body: bytes | None = None
    prompt: int = 0
    completion: int | None = None
    pieces: int = 0
    asked: int = 0
    written: int = 0
    open: bool = False

    @property
    def used(self) -> int | None:
        """How many were taken, as far as it was told; ``None`` where all that could be may be.

        A stream that does not tell, and goes on beyond what bounds it, took more than
        :attr:`most`: its pieces, and no more than all that the prompts can be.
        """
        if self.completion is not None and not self.open:
            return self.prompt + self.completion
        beyond = self.pieces > self.written
        return self.asked + self.pieces if beyond else None


@dataclass(slots=True)
class Asked:
    """One request, understood.

    Attributes:
        rows: What is charged: rows, at least 1; for language models prompts times completions.
        inputs: Makes float64 ``(rows, features)`` for whoever looks at them; ``None`` when they
            are no numbers.
        stream: Whether the answer is a stream of events.
        memo: Whatever the format needs later to rewrite the answer.
        model: What the body calls the model, in formats whose path does not.
        tokens: Of a language model, where the format counts them.
        person: The person enrolled whom it is about, in formats that are told where that stands.
    """

    rows: int
    inputs: Inputs | None
    stream: bool = False
    memo: Any = None
    model: str | None = None
    tokens: Tokens | None = None
    person: str | None = None


@dataclass(slots=True)
class Answered:
    """One answer of the upstream, understood.

    Attributes:
        scores: The probabilities in it, float64 ``(rows, classes)``, as
            :func:`darkroom.wire.answers.probabilities` returns them; ``None`` when there are
            only labels or text.
        rebuild: Returns the body to send, with the scores given in place of the old ones and
            everything else that could leak removed.
        content_type: Of that body.
        numbers: Whether what is called scores are predicted numbers, ``(rows, 1)``.
    """

    scores: NDArray[np.float64] | None
    rebuild: Callable[[NDArray[np.float64] | None], bytes]
    content_type: str = "application/json"
    numbers: bool = False


class Wire(ABC):
    """A wire format.

    Attributes:
        name: The word used in policies.
    """

    name: ClassVar[str]

    @abstractmethod
    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is an inference route of the format."""

    @abstractmethod
    def passes(self, method: str, path: str) -> bool:
        """Tells whether a route is harmless (health, metadata) and goes through uncharged."""

    @abstractmethod
    def read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        """Understands a request.

        Args:
            path: Decoded, without the query.
            headers: With names in lower case.
            body: Whole and not compressed.

        Raises:
            Refused: With 400, 413, 415 or 422, if anything in it is not understood.
        """

    @abstractmethod
    def answer(
        self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        """Understands what the upstream answered with a status of 2xx.

        Raises:
            Refused: With 502, if anything in it is not understood.
        """

    def answer_stream(
        self,
        asked: Asked,  # noqa: ARG002
        chunks: AsyncIterator[bytes],  # noqa: ARG002
    ) -> AsyncIterator[bytes]:
        """Rewrites an answer that is a stream of events, for formats that have such.

        Raises:
            Refused: With 422, if the format has none.
        """
        raise Refused(422, "Streams are not supported", f"{self.name} has no streamed answers")

    @abstractmethod
    def error(self, problem: dict[str, Any]) -> bytes:
        """Returns a body of type problem+json with the format's own error member in it."""
