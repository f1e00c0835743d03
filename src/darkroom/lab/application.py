"""The lab's pages put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from darkroom.lab.attributes.pages import AttributePages
from darkroom.lab.develop.pages import Develop
from darkroom.lab.lesson.pages import Lesson
from darkroom.lab.lesson.rooms import Rooms
from darkroom.lab.protection import OneTimeCodes, Protection
from darkroom.lab.rendering import ASSETS, TABS
from darkroom.lab.runs.folders import home_of
from darkroom.lab.runs.pages import RunPages
from darkroom.lab.secrets.pages import Secrets
from darkroom.lab.studio.choosing import Studios

if TYPE_CHECKING:
    from darkroom.lab.studio.loading import Studio


def application(
    studio: Studio, out: Path, token: str, codes: OneTimeCodes | None = None
) -> Starlette:
    """Returns the lab; it loads what the studio needs when it starts.

    Args:
        studio: The model and the judges.
        out: The folder of all runs.
        token: What opens it.
        codes: What opens it once each; none when left out.
    """
    home = home_of(out)
    develop, searches, attributes = (
        Develop(Studios(studio, out)),
        Secrets(home),
        AttributePages(home),
    )
    lesson = Lesson(Rooms(studio, searches.model, attributes.model))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        studio.load()
        yield
        for running in (develop.running, searches.running, lesson.running):
            running.stop()

    app = Starlette(
        routes=[
            Route("/", _first),
            ASSETS,
            *develop.routes,
            *searches.routes,
            *attributes.routes,
            *lesson.routes,
            *RunPages(out).routes,
        ],
        middleware=[Middleware(Protection, token=token, codes=codes)],
        exception_handlers={HTTPException: _refused},
        lifespan=lifespan,
    )
    app.state.develop, app.state.secrets = develop, searches
    app.state.attributes, app.state.lesson = attributes, lesson
    return app


async def _first(request: Request) -> Response:
    del request
    return RedirectResponse(TABS[0].path, status_code=303)


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    return JSONResponse({"sentence": error.detail}, status_code=error.status_code)
