"""All work of one kind that pages watch, each with its stream."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from darkroom.lab.live.requests import control
from darkroom.lab.live.streams import streamed
from darkroom.lab.live.work import LiveWork

W = TypeVar("W", bound=LiveWork[Any, Any])


class Running(Generic[W]):
    """Work that is not over; it lasts as long as its stream is read.

    Attributes:
        works: By identity.
    """

    def __init__(self, most: int, what: str) -> None:
        """Runs nothing yet.

        Args:
            most: At a time: each keeps a processor busy.
            what: What several of them are called.
        """
        self._most, self._what = most, what
        self.works: dict[str, W] = {}

    def begin(self, make: Callable[[], W], begun: Callable[[str], BaseModel]) -> StreamingResponse:
        """Begins work and streams what it tells.

        Args:
            make: Returns the work.
            begun: Returns the first event, for the identity by which the work is controlled.

        Raises:
            HTTPException: If too many run.
        """
        if len(self.works) >= self._most:
            raise HTTPException(429, f"{self._most} {self._what} run already: end one of them")
        work, identity = make(), secrets.token_hex(8)

        def begin() -> None:
            self.works[identity] = work
            work.begin()

        def end() -> None:
            work.stop()
            self.works.pop(identity, None)

        return streamed(begun(identity), work.events, lambda event: event is work.ended, begin, end)

    async def control(self, request: Request) -> Response:
        """Pauses work, lets it go on or take a step, or ends it, as a request's path says."""
        work = self.works.get(request.path_params["identity"])
        return control(None if work is None else work.gate, request.path_params["what"])

    def stop(self) -> None:
        """Ends all."""
        for work in list(self.works.values()):
            work.stop()
