"""How the lab is opened in a browser: nobody else on the machine learns how."""

from __future__ import annotations

import re
import stat
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.lab.conftest import TOKEN
from tests.support.served import served

from darkroom.lab.opening import open_browser
from darkroom.lab.protection import OneTimeCodes, Protection

if TYPE_CHECKING:
    from playwright.sync_api import Browser


async def _hello(request: Request) -> Response:
    del request
    return PlainTextResponse("hello")


@pytest.fixture
def codes() -> OneTimeCodes:
    return OneTimeCodes()


@pytest.fixture
def address(codes: OneTimeCodes) -> Iterator[str]:
    """A page behind the lab's protection."""
    protection = Middleware(Protection, token=TOKEN, codes=codes)
    with served(Starlette(routes=[Route("/", _hello)], middleware=[protection])) as found:
        yield found


@pytest.fixture
def opened(address: str, codes: OneTimeCodes, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a browser is started with."""
    seen: list[str] = []

    def start(url: str) -> bool:
        seen.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", start)
    assert open_browser(address, codes) is not None
    return seen[0]


def _file(opened: str) -> Path:
    return Path(unquote(urlsplit(opened).path))


def test_the_browsers_command_line_holds_no_secret(address: str, opened: str) -> None:
    page = _file(opened)
    text = page.read_text()
    code = re.search(r"code=([\w-]+)", text)
    assert code is not None
    assert TOKEN not in text
    assert code[1] not in opened
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    with httpx.Client(base_url=address) as client:
        assert client.get(f"/?code={code[1]}").status_code == 200
        assert client.get("/").text == "hello"
    assert not page.parent.exists()
    assert httpx.get(f"{address}/?code={code[1]}").status_code == 403


@pytest.mark.medium
def test_a_guessed_code_opens_nothing(address: str, opened: str) -> None:
    for code in ("", "x", "é", "%00"):
        assert httpx.get(f"{address}/", params={"code": code}).status_code == 403
    assert _file(opened).exists()


def test_without_a_browser_nothing_is_left(
    address: str, codes: OneTimeCodes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert open_browser(address, codes) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.medium
def test_a_browser_that_reads_the_file_is_in(opened: str, address: str, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(opened)
    page.get_by_text("hello").wait_for()
    assert page.url == f"{address}/"
    context.close()
