"""Pages from templates; whatever comes from a plan or a run is escaped."""

from __future__ import annotations

import functools
from importlib import metadata, resources
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from darkroom.report.html import environment


class Tab(NamedTuple):
    """A page of the lab.

    Attributes:
        path: Where it is.
        title: What it is called.
    """

    path: str
    title: str


TABS = (
    Tab("/develop", "Develop"),
    Tab("/defend", "Defend"),
    Tab("/secrets", "Secrets"),
    Tab("/attributes", "Attributes"),
    Tab("/lesson", "Lesson"),
    Tab("/runs", "Runs"),
)

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def page(request: Request, template: str, **values: object) -> Response:
    """Returns a page.

    Args:
        request: What asks for it.
        template: The file.
        values: What the template reads.
    """
    return HTMLResponse(rendered_page(template, request.url.path, **values))


def rendered_page(template: str, here: str, **values: object) -> str:
    """Returns the HTML of a page.

    Args:
        template: The file.
        here: Which page it is.
        values: What the template reads.
    """
    return (
        _environment()
        .get_template(template)
        .render(tabs=TABS, here=here, version=metadata.version("darkroom"), **values)
    )


@functools.cache  # templates are compiled once
def _environment() -> Environment:
    return environment(PackageLoader("darkroom.lab", "templates"))


def asset(name: str) -> str | None:
    """Returns a style sheet or script of the lab by its file's name; ``None`` if there is none.

    The report's own style sheet is the first: the lab's adds to it.
    """
    return _assets().get(name)


@functools.cache  # they do not change while the lab runs
def _assets() -> dict[str, str]:
    files = list(resources.files("darkroom.lab").joinpath("static").iterdir())
    files.append(resources.files("darkroom.report").joinpath("templates", "report.css"))
    return {one.name: one.read_text(encoding="utf-8") for one in files}


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    text = asset(name)
    kind = _TYPES.get(Path(name).suffix)
    if text is None or kind is None:
        return Response(status_code=404)
    return Response(text, media_type=kind)


ASSETS = Route("/static/{name}", _asset)
