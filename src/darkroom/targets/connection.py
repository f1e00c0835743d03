"""Connections to a server: a client with pooled connections, and a thread in which it works."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import threading
from collections.abc import Coroutine, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx

from darkroom.errors import TargetError, one_line
from darkroom.targets.sending import CONNECTING, Delivery

_Result = TypeVar("_Result")


def make_client(
    name: str,
    url: str,
    delivery: Delivery,
    headers: Mapping[str, str],
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Returns a client with pooled connections, which keeps no cookies and follows no redirects.

    Args:
        name: The target's, for messages.
        url: Where it is.
        delivery: Time-outs and concurrency.
        headers: Sent with each request.
        transport: Replaces the network, for tests.

    Raises:
        TargetError: If the environment's proxy or certificates forbid it.
    """
    seconds, together = delivery.timeout, delivery.concurrency
    own = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "darkroom",
    }
    try:
        return httpx.AsyncClient(
            headers={**own, **{key.lower(): value for key, value in headers.items()}},
            timeout=httpx.Timeout(seconds, connect=CONNECTING * seconds),
            limits=httpx.Limits(max_connections=together, max_keepalive_connections=together),
            # A server's cookies are neither needed nor let pile up.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            # The environment's proxy is for what lies outside.
            trust_env=not _is_loopback(checked_host(url)),
            transport=transport,
        )
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TargetError(
            f"target {name}: no connection can be made ({one_line(error)}): check the "
            "proxy and certificate settings of the environment"
        ) from error


class LoopThread:
    """An event loop in a thread of its own, so that it serves callers that have a loop too."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Starts the thread.

        Args:
            client: Is closed with it.
        """
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="darkroom-http", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Does some work there and waits for it; an interruption here ends it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Closes connections and ends the thread."""
        if self._loop.is_closed():
            return
        try:
            self.run(self._client.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


def secret_headers(api_key_env: str | None, headers_from_env: Mapping[str, str]) -> dict[str, str]:
    """Reads keys from environment variables, so that no plan holds them.

    Args:
        api_key_env: The variable with a key that is sent as a bearer token.
        headers_from_env: Header names, and for each the variable with its whole value.

    Raises:
        TargetError: If a variable is not set.
    """
    found = {header: _variable(name) for header, name in headers_from_env.items()}
    if api_key_env is not None:
        found["authorization"] = f"Bearer {_variable(api_key_env)}"
    return found


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise TargetError(f"environment variable {name}, which the plan names, is not set: set it")
    return value


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Refuses what cannot stand in a header, without showing it.

    Raises:
        TargetError: As above.
    """
    for name, value in headers.items():
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise TargetError(f"{name!r} is no name of an HTTP header: check [target] headers")
        if not value.isascii() or not value.isprintable():
            raise TargetError(f"the value of header {name} holds characters that no header may")
    return headers


def checked_host(url: str) -> str:
    """Returns the host of an address.

    Raises:
        TargetError: If it is no HTTP address, or holds a password.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise TargetError(f"{url!r} is no address ({error}): check [target] url") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise TargetError(f"{url!r} is no address of the form http://host:port: check [target] url")
    if parsed.userinfo:
        raise TargetError(
            f"[target] url for {parsed.host} holds a user or password: set [target] "
            'headers_from_env = {Authorization = "VARIABLE"} instead'
        )
    return parsed.host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
