"""The page where a search for a secret grows, and the requests that it sends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom.errors import DarkroomError
from darkroom.lab.live.requests import read
from darkroom.lab.live.running import Running
from darkroom.lab.rendering import page
from darkroom.lab.secrets.events import SearchBegun, SearchChoice
from darkroom.lab.secrets.model import SecretsModel

if TYPE_CHECKING:
    from darkroom.lab.secrets.search import LiveSearch

MOST_SEARCHES = 12
"""A page has three at a time: the tree, sampling, and averaging."""


class Secrets:
    """Searches of all pages, each with its stream.

    The language model is loaded, or trained, when somebody first asks for it.

    Attributes:
        model: What is searched.
        running: Searches that are not over.
    """

    def __init__(self, out: Path) -> None:
        """Runs none yet.

        Args:
            out: The folder of all runs.
        """
        self.model = SecretsModel(out)
        self.running: Running[LiveSearch] = Running(MOST_SEARCHES, "searches")

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/secrets", self._page),
            Route("/secrets/model", self._state),
            Route("/secrets/model/load", self._load, methods=["POST"]),
            Route("/secrets/searches", self._search, methods=["POST"]),
            Route("/secrets/searches/{identity}/{what}", self.running.control, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        return page(request, "secrets.html.jinja")

    async def _load(self, request: Request) -> Response:
        del request
        self.model.load()
        return Response(status_code=204)

    async def _state(self, request: Request) -> Response:
        """Says what is there already, and which canaries there are; tells no secret."""
        del request
        model = self.model
        state = {
            "stage": model.stage._asdict(),
            "mistake": model.mistake,
            "ready": model.ready,
            "is_there": model.is_there,
            "canaries": [],
        }
        if model.ready:
            found = enumerate(model.job.subject.canaries.canaries)
            state["canaries"] = [
                {
                    "canary": number,
                    "owner": one.owner,
                    "before": one.before,
                    "masked": one.masked,
                    "after": one.after,
                    "repetitions": one.repetitions,
                    "bits": one.format.bits,
                }
                for number, one in found
            ]
        return JSONResponse(state)

    async def _search(self, request: Request) -> Response:
        """Begins a search that lasts as long as its stream is read."""
        choice = await read(request, SearchChoice)
        try:
            job = self.model.job
            from darkroom.lab.secrets.search import LiveSearch

            return self.running.begin(
                lambda: LiveSearch(job, choice), lambda identity: SearchBegun(identity=identity)
            )
        except DarkroomError as error:
            raise HTTPException(409, str(error)) from error
