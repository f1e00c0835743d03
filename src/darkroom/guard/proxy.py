"""The reverse proxy: an ASGI application that asks another server; the guard stands in front."""

from __future__ import annotations

import os

import httpx

from darkroom.errors import PlanError
from darkroom.guard.authentication import KEY_HEADERS
from darkroom.guard.http.requests import Receive, Scope, Send, route_path
from darkroom.guard.http.upstream import DROPPED, SHADOW, too_late
from darkroom.guard.policy import Policy

FORWARDED = frozenset([b"content-type", b"accept"])
OWN = frozenset([b"host", *KEY_HEADERS, *DROPPED])
"""What no client sends to the upstream: whom it wants, who it is, what concerns its connection."""

ANSWER_DROPPED = frozenset(
    [
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authenticate", b"content-length"),
    ]
)


class Proxy:
    """Asks the upstream what the guard lets through, once and never again.

    Of a request's headers only those that the format needs reach the upstream, and those that the
    policy names. Pooled connections; no redirects, no proxies from the environment, no retries.
    """

    def __init__(self, policy: Policy, url: str | None = None) -> None:
        """Reads what the upstream needs; connections are made when they are needed.

        Args:
            policy: The policy.
            url: The upstream, in place of the policy's.

        Raises:
            PlanError: If there is no address, or the environment lacks a header's value.
        """
        upstream = policy.upstream
        base = url or upstream.url
        if base is None:
            raise PlanError("no upstream: give --upstream URL, or [upstream] url in the policy")
        try:
            self._base = httpx.URL(base)
        except httpx.InvalidURL as error:
            raise PlanError(f"upstream {base!r} is no URL: {error}") from error
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise PlanError(f"upstream {base!r} is no address such as http://127.0.0.1:8080")
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._forwarded = FORWARDED | {name.encode() for name in upstream.forward}
        self._added = [
            (name.lower().encode(), _from_environment(name, variable).encode())
            for name, variable in upstream.headers_from_env.items()
        ]
        self._kept, self._seconds = policy.guard.prefix, upstream.seconds
        self._client = httpx.AsyncClient(
            timeout=upstream.seconds,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=policy.limits.at_once,
                max_keepalive_connections=policy.limits.at_once,
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Asks the upstream, and passes on the answer piece by piece."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = (await receive())["body"]
        try:
            await self._pass(self._request(scope, body), send)
        except httpx.TimeoutException:
            raise too_late(f"nothing for {self._seconds:g} seconds") from None

    async def _pass(self, request: httpx.Request, send: Send) -> None:
        reply = await self._client.send(request, stream=True)
        try:
            headers = [
                (name.lower(), value)
                for name, value in reply.headers.raw
                if name.lower() not in ANSWER_DROPPED
            ]
            await send(
                {"type": "http.response.start", "status": reply.status_code, "headers": headers}
            )
            async for part in reply.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await reply.aclose()

    def _request(self, scope: Scope, body: bytes) -> httpx.Request:
        shadow = bool(scope.get(SHADOW))
        headers = [
            (name, value)
            for name, value in scope["headers"]
            if name in self._forwarded or (shadow and name not in OWN)
        ]
        headers += [*self._added, (b"accept-encoding", b"identity")]
        path = route_path(scope, self._kept) or str(scope["path"])
        target = self._prefix + path.encode("latin-1")
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        url = self._base.copy_with(raw_path=target)
        # A body of no bytes is none, so that a GET stays one.
        return self._client.build_request(
            scope["method"], url, headers=headers, content=body or None
        )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._client.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _from_environment(name: str, variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise PlanError(f"upstream header {name}: the environment has no {variable}")
    return value
