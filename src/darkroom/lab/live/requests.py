"""What pages that run something have in common: reading requests, and pausing."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from darkroom.lab.live.gate import Gate
from darkroom.sections import explain

T = TypeVar("T", bound=BaseModel)

LARGEST = 10_000
"""Bytes of a request."""


def control(gate: Gate | None, what: str) -> Response:
    """Pauses something that runs, lets it go on or take a step, or ends it.

    Raises:
        HTTPException: If it is over, or there is no such control.
    """
    if gate is None:
        raise HTTPException(404, "that is over")
    controls = {
        "pause": gate.pause,
        "resume": gate.resume,
        "step": gate.step,
        "stop": gate.stop,
    }
    if what not in controls:
        raise HTTPException(404, f"there is no {what}")
    controls[what]()
    return Response(status_code=204)


async def read(request: Request, kind: type[T]) -> T:
    """Reads a request's body.

    Raises:
        HTTPException: If it is too large or is something else.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"a request has {LARGEST:,} bytes at most")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, explain(error, kind)) from error
