"""The page where a search for a secret grows, and the requests that it sends."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from darkroom.errors import DarkroomError
from darkroom.lab.rendering import page
from darkroom.lab.requests import control, read
from darkroom.lab.secrets.events import SearchBegun, SearchChoice, SearchEnded
from darkroom.lab.secrets.model import SecretsModel
from darkroom.lab.streams import streamed

if TYPE_CHECKING:
    from darkroom.lab.secrets.search import LiveSearch

MOST_SEARCHES = 8


class Secrets:
    """Searches of all pages, each with its stream.

    The language model is loaded, or trained, when somebody first asks for it.

    Attributes:
        model: What is searched.
        running: Searches that are not over, by identity.
    """

    def __init__(self, out: Path) -> None:
        """Runs none yet.

        Args:
            out: The folder of all runs.
        """
        self.model = SecretsModel(out)
        self.running: dict[str, LiveSearch] = {}

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/secrets", self._page),
            Route("/secrets/model", self._state),
            Route("/secrets/model/load", self._load, methods=["POST"]),
            Route("/secrets/searches", self._search, methods=["POST"]),
            Route("/secrets/searches/{identity}/{what}", self._control, methods=["POST"]),
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
        if len(self.running) >= MOST_SEARCHES:
            raise HTTPException(429, f"{MOST_SEARCHES} searches run already: end one of them")
        from darkroom.lab.secrets.search import LiveSearch

        try:
            search = LiveSearch(self.model.job, choice)
        except DarkroomError as error:
            raise HTTPException(409, str(error)) from error
        identity = secrets.token_hex(8)
        self.running[identity] = search
        search.begin()

        def end() -> None:
            search.gate.stop()
            self.running.pop(identity, None)

        begun = SearchBegun(identity=identity)
        return streamed(begun, search.events, lambda event: isinstance(event, SearchEnded), end)

    async def _control(self, request: Request) -> Response:
        search = self.running.get(request.path_params["identity"])
        return control(None if search is None else search.gate, request.path_params["what"])

    def stop(self) -> None:
        """Ends all searches."""
        for search in list(self.running.values()):
            search.gate.stop()
