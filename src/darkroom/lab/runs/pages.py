"""The pages of runs, and what is served of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from darkroom.errors import DarkroomError, RunError
from darkroom.lab.protection import REPORT_POLICY
from darkroom.lab.runs.folders import folder_of
from darkroom.lab.runs.shown import SERVED, list_page, run_page
from darkroom.report.html import rendered
from darkroom.report.results import collect
from darkroom.report.runs.comparison import compare

T = TypeVar("T")


class RunPages:
    """Runs of one folder, or the one that a folder is.

    A name in an address is that of a run there, and of nothing else.
    """

    def __init__(self, out: Path) -> None:
        """Takes the folder of all runs."""
        self._out = out

    @property
    def routes(self) -> list[Route]:
        """What is answered where."""
        return [
            Route("/runs", self._all),
            Route("/compared", self._compared),
            Route("/runs/{name}", self._one),
            Route("/runs/{name}/report.html", self._report),
            Route("/runs/{name}/results.json", self._results),
        ]

    async def _all(self, request: Request) -> Response:
        del request
        return HTMLResponse(await run_in_threadpool(list_page, self._out, SERVED))

    async def _one(self, request: Request) -> Response:
        name, folder = self._found(request.path_params["name"])
        results = await _told(lambda: collect(folder))
        return HTMLResponse(await run_in_threadpool(run_page, name, results, SERVED))

    async def _report(self, request: Request) -> Response:
        _, folder = self._found(request.path_params["name"])
        text = await _told(lambda: _read(folder / "report.html"))
        return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})

    async def _results(self, request: Request) -> Response:
        _, folder = self._found(request.path_params["name"])
        text = await _told(lambda: _read(folder / "results.json"))
        return Response(text, media_type="application/json")

    async def _compared(self, request: Request) -> Response:
        _, before = self._found(request.query_params.get("before", ""))
        _, after = self._found(request.query_params.get("after", ""))
        found = await _told(lambda: compare(before, after))
        page = rendered("comparison.html.jinja", comparison=found)
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    def _found(self, name: str) -> tuple[str, Path]:
        folder = folder_of(self._out, name)
        if folder is None:
            raise HTTPException(404, "there is no such run")
        return name, folder


async def _told(work: Callable[[], T]) -> T:
    """Does something with files beside the server's own thread; says in a sentence what fails."""
    try:
        return await run_in_threadpool(work)
    except DarkroomError as error:
        raise HTTPException(409, str(error)) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"{path.name} is missing: finish the run with darkroom audit PLAN.toml --resume"
        ) from error
