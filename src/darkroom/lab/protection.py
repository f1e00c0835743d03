"""Who may see the lab: this machine alone, with the token that its address carries."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine; any other in a request means that a page elsewhere sent it here."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, no script or style inside a page, and no text that becomes markup."""

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-same-origin"
)
"""A report has its style inside itself, and needs no script."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Reconstructed people are what is to be protected: no copy stays in a cache.
    "Cache-Control": "no-store",
}


OPENED = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Darkroom lab</title>
<meta http-equiv="refresh" content="0; url=/"></head>
<body><p><a href="/">Darkroom's lab</a></p></body></html>
"""
"""What a browser gets that came with a code."""


class OneTimeCodes:
    """Codes that open the lab once each.

    A browser's command line, which everybody on the machine may read, then holds no token.
    """

    def __init__(self) -> None:
        """Has given none."""
        self._given: dict[str, Callable[[], None]] = {}

    def give(self, used: Callable[[], None]) -> str:
        """Returns a new code.

        Args:
            used: Called when somebody has used it.
        """
        code = secrets.token_urlsafe(24)
        self._given[code] = used
        return code

    def use_up(self, code: str) -> bool:
        """Tells whether a code is good, which it is never again."""
        known = next(
            (one for one in self._given if hmac.compare_digest(one.encode(), code.encode())), None
        )
        if known is None:
            return False
        self._given.pop(known)()
        return True


class Protection:
    """Lets requests through that come from this machine's own browser with the token.

    The token is in the address that the command prints. Whoever opens it gets a cookie, and is sent
    on to the same page without it, so that it stands in no history of pages. A browser that the
    command opens itself is given a code instead, which is good for one use.
    """

    def __init__(self, app: ASGIApp, token: str, codes: OneTimeCodes | None = None) -> None:
        """Stands before an application.

        Args:
            app: What is protected.
            token: What opens it.
            codes: What opens it once each; none when left out.
        """
        self._app, self._token, self._codes = app, token, codes or OneTimeCodes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, dressed)

    def _answer(self, scope: Scope) -> Response | None:
        """Returns what is answered in place of the application, or ``None``."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in LOOPBACK:
            return _refused("The lab answers at 127.0.0.1 and localhost alone.")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _refused("The lab answers its own pages alone.")
        query = QueryParams(scope["query_string"])
        if self._fits(query.get("token", "")):
            rest = urlencode([(k, v) for k, v in query.multi_items() if k != "token"])
            where = scope["path"] + (f"?{rest}" if rest else "")
            # Two slashes would name another machine.
            onward = RedirectResponse("/" + where.lstrip("/\\"), status_code=303)
            onward.set_cookie(_cookie(host), self._token, httponly=True, samesite="strict")
            return onward
        if self._codes.use_up(query.get("code", "")):
            # A page that the browser read from a file led here, and a strict cookie does not go
            # along with what another page began: this one begins anew.
            opened = HTMLResponse(OPENED)
            opened.set_cookie(_cookie(host), self._token, httponly=True, samesite="strict")
            return opened
        if self._fits(_kept(headers.get("cookie", ""), _cookie(host))):
            return None
        return _refused("Open the address that darkroom lab printed: it carries a token.")

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())


def _name(host: str) -> str | None:
    """Returns the machine that a Host header names; ``None`` where it is none, or has no port."""
    try:
        found = urlsplit(f"//{host}")
        _ = found.port
    except ValueError:
        return None
    return found.hostname


def _cookie(host: str) -> str:
    """Returns the cookie's name: cookies are shared by all ports, and labs are not."""
    return f"darkroom_lab_{urlsplit(f'//{host}').port or 80}"


def _kept(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _refused(sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status_code=403)
