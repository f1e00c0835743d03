"""The reverse proxy: an ASGI application that asks another server; the guard stands in front."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

import yarl

from darkroom.errors import PlanError, one_line
from darkroom.guard.authentication import KEY_HEADERS
from darkroom.guard.http.identifiers import TRACING
from darkroom.guard.http.requests import Receive, Scope, Send, no_route, route_path
from darkroom.guard.http.upstream import CONNECTION, DROPPED, SERVED, SHADOW, no_answer, too_late
from darkroom.guard.policy import Policy

if TYPE_CHECKING:
    import aiohttp

FORWARDED = frozenset([b"content-type", b"accept"])
OWN = frozenset([b"host", *KEY_HEADERS, *DROPPED])
"""What no client sends to the upstream: whom it wants, who it is, what concerns its connection."""

SPARE = 8
"""Connections for questions about health, which hold no slot."""

KEPT_ALIVE = 4.0
"""Seconds that a connection waits for the next request: most servers end theirs after 5."""

ANSWER_DROPPED = CONNECTION | {b"proxy-authenticate"}


class _Server(NamedTuple):
    """Who is asked, and with which headers besides those of the request."""

    base: str
    added: list[tuple[str, str]]

    @classmethod
    def of(cls, url: str | None, headers: Mapping[str, str]) -> Self:
        """Checks an address, and looks for headers in the environment.

        Raises:
            PlanError: If it is none, or a variable is missing.
        """
        added = [
            (name.lower(), _from_environment(name, variable)) for name, variable in headers.items()
        ]
        return cls(_address(url), [*added, ("accept-encoding", "identity")])


class Proxy:
    """Asks the upstream what the guard lets through, once and never again.

    Of a request's headers only those that the format needs reach the upstream, and those that the
    policy names. Pooled connections; no redirects, no proxies from the environment, no cookies, no
    retries.
    """

    def __init__(self, policy: Policy, url: str | None = None) -> None:
        """Reads what the upstream needs; connections are made when they are needed.

        Args:
            policy: The policy.
            url: The upstream of models that name none, in place of the policy's.

        Raises:
            PlanError: If there is no address, or the environment lacks a header's value.
        """
        upstream = policy.upstream
        self._servers: dict[str | None, _Server] = {
            one.name: _Server.of(one.url, one.headers_from_env)
            for one in policy.model
            if one.url is not None
        }
        everywhere = url or upstream.url
        if everywhere is not None or len(self._servers) < max(1, len(policy.model)):
            self._servers[None] = _Server.of(everywhere, upstream.headers_from_env)
        own = {policy.guard.request_id.encode()} - {b""}
        if policy.opentelemetry is not None:  # then they are the guard's own
            own |= TRACING
        self._forwarded = FORWARDED.union(own, map(str.encode, upstream.forward))
        self._kept, self._seconds = policy.guard.prefix, upstream.seconds
        self._at_once = policy.limits.at_once
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Asks the upstream, and passes on the answer piece by piece."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = (await receive())["body"]
        try:
            await self._pass(scope, body, send)
        except TimeoutError:
            raise too_late(f"nothing for {self._seconds:g} seconds") from None
        except Exception as error:
            import aiohttp

            if isinstance(error, aiohttp.ClientError):
                raise no_answer() from error
            raise

    @property
    def bases(self) -> list[str]:
        """Where the servers are, each once."""
        return list(dict.fromkeys(one.base for one in self._servers.values()))

    async def reach(self) -> None:
        """Connects to each upstream and hangs up.

        Raises:
            OSError: If nobody listens at one.
        """
        for base in self.bases:
            url = yarl.URL(base)
            assert url.host is not None
            try:
                _, line = await asyncio.open_connection(url.host, url.port)
            except OSError as error:
                raise OSError(f"{base}: {one_line(error)}") from error
            line.close()

    async def _pass(self, scope: Scope, body: bytes, send: Send) -> None:
        server = self._server(scope)
        asking = self._opened().request(
            scope["method"],
            self._target(server, scope),
            headers=self._headers(server, scope),
            data=body or None,  # one of no bytes is none, so that a GET stays one
            allow_redirects=False,
        )
        async with asking as reply:
            headers = [
                (lower, value)
                for name, value in reply.raw_headers
                if (lower := name.lower()) not in ANSWER_DROPPED
            ]
            start = {"type": "http.response.start", "status": reply.status, "headers": headers}
            await send(start)
            async for part in reply.content.iter_any():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _server(self, scope: Scope) -> _Server:
        """Returns the server of the model that is asked.

        Raises:
            Refused: With 404, if each model has a server of its own, and none is meant.
        """
        found = self._servers.get(scope.get(SERVED)) or self._servers.get(None)
        if found is None:
            raise no_route()
        return found

    def _headers(self, server: _Server, scope: Scope) -> list[tuple[str, str]]:
        shadow = bool(scope.get(SHADOW))
        return [
            (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
            for name, value in scope["headers"]
            if name in self._forwarded or (shadow and name not in OWN)
        ] + server.added

    def _target(self, server: _Server, scope: Scope) -> yarl.URL:
        """Returns where to ask; nothing in it is decoded or encoded on the way."""
        path = route_path(scope, self._kept) or str(scope["path"])
        query = scope["query_string"]
        asked = f"?{query.decode('latin-1')}" if query else ""
        return yarl.URL(f"{server.base}{path}{asked}", encoded=True)

    def _opened(self) -> aiohttp.ClientSession:
        """Returns the connections of this event loop."""
        session = self._session
        if session is None or session.closed or session._loop is not asyncio.get_running_loop():
            session = self._session = self._begun()
        return session

    def _begun(self) -> aiohttp.ClientSession:
        # Only who asks needs it: not a look at a policy, and not what starts workers.
        import aiohttp

        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._at_once + SPARE, keepalive_timeout=KEPT_ALIVE
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._seconds, sock_read=self._seconds
            ),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            auto_decompress=False,
        )
        # What is charged once is asked once, whatever the method; there is no public switch.
        session._retry_connection = False
        return session

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._opened()  # so that nobody's request waits for it
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._session is not None:
                    await self._session.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _address(base: str | None) -> str:
    """Returns an upstream's address without a slash at its end.

    Raises:
        PlanError: If it is none.
    """
    if base is None:
        raise PlanError("no upstream: give --upstream URL, or [upstream] url in the policy")
    try:
        url = yarl.URL(base)
        sound = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError as error:
        why = "" if "@" in base else f": {error}"  # which may quote a part of a password
        raise PlanError(f"upstream {_shown(base)!r} is no URL{why}") from None
    if not sound or url.query_string or url.fragment or url.user is not None:
        raise PlanError(
            f"upstream {_shown(base)!r} is no address such as http://127.0.0.1:8080, without a "
            "name, a password or a query: headers_from_env sends the server what it asks for"
        )
    return str(url).rstrip("/")


def _shown(address: str) -> str:
    """Returns an address as a message shows it, without what may be a password or a key.

    >>> _shown("http://me:secret@host:80")
    'http://…'
    >>> _shown("nothing")
    'nothing'
    """
    scheme, mark, _ = address.partition("://")
    return f"{scheme if mark else ''}{mark}…" if set("@?#") & set(address) else address


def _from_environment(name: str, variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise PlanError(f"upstream header {name}: the environment has no {variable}")
    return value
