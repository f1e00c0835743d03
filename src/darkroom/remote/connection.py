"""A connection to somebody's server: pooled, patient, and true to what was sent."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx

from darkroom.errors import TargetError, one_line
from darkroom.ledger import Bill
from darkroom.remote.credentials import as_query, require_no_key
from darkroom.remote.delivery import Delivery
from darkroom.remote.exchange import CONNECTING, Exchange
from darkroom.remote.sender import Answer, Batch, Sender, batches
from darkroom.wire.base import Request

_Result = TypeVar("_Result")


class Connection:
    """Pooled connections to one server, with a thread of their own.

    Attributes:
        sender: Sends requests and counts rows.
    """

    def __init__(
        self,
        url: str,
        *,
        authorized_by: str,
        name: str,
        delivery: Delivery,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        secret_parameters: Mapping[str, str] | None = None,
        seed: int = 0,
        transport: httpx.AsyncBaseTransport | None = None,
        quotes: bool = True,
        answers: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Opens nothing yet but the thread.

        Args:
            url: The server's address, or one of its endpoints.
            authorized_by: Who allowed it: an audit sends thousands of queries to somebody's
                server.
            name: What messages call the target.
            delivery: Batches, concurrency, time-outs and retries.
            headers: Sent with each request.
            secret_headers: The same, for keys: kept out of messages.
            secret_parameters: Parameters of every address, for keys: kept out of messages and logs.
            seed: For the jitter of waiting times; no answer depends on it.
            transport: Replaces the network, for tests.
            quotes: Whether messages may show how an answer begins.
            answers: Tells of a refusal whether it is an answer all the same.

        Raises:
            TargetError: If nobody allowed it, the address is none, or a header cannot be sent.
        """
        self._host = _checked_host(url)
        if not authorized_by.strip():
            raise TargetError(
                f"target {url}: a remote model is audited only with leave: set [run] "
                'authorized_by = "name and role"'
            )
        self._name, self._delivery = name, delivery
        secrets = _checked_headers(secret_headers or {})
        client = self._client({**_checked_headers(headers or {}), **secrets}, transport)
        parameters = secret_parameters or {}
        hidden = (*secrets.values(), *parameters.values())
        exchange = Exchange(
            client,
            delivery,
            name=name,
            secrets=[word for value in hidden for word in (value, *value.split())],
            query=as_query(parameters),
            quotes=quotes,
            answers=answers,
        )
        self.sender = Sender(exchange, delivery, seed=seed)
        self._loop = _LoopThread(client)
        self._finalizer = weakref.finalize(self, self._loop.close)

    def _client(
        self, headers: Mapping[str, str], transport: httpx.AsyncBaseTransport | None
    ) -> httpx.AsyncClient:
        seconds, together = self._delivery.timeout, self._delivery.concurrency
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
                trust_env=not _is_loopback(self._host),
                transport=transport,
            )
        except (ssl.SSLError, OSError, ValueError) as error:
            raise TargetError(
                f"target {self._name}: no connection can be made ({one_line(error)}): check the "
                "proxy and certificate settings of the environment"
            ) from error

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Does some work in the thread and waits for it; an interruption here ends it."""
        return self._loop.run(work)

    def deliver(
        self,
        rows: int,
        batch: int,
        pack: Callable[[Batch], Request],
        unpack: Callable[[Batch, bytes], Answer],
        bill: Bill | None,
    ) -> list[Answer]:
        """Sends so many rows and returns the answers, one a request; see :meth:`Sender.deliver`."""
        sent = list(batches(rows, batch))
        return self.run(self.sender.deliver(sent, pack, unpack, bill)) if sent else []

    def close(self) -> None:
        """Closes all connections; nothing can be sent afterwards."""
        self._finalizer()


class _LoopThread:
    """An event loop in a thread of its own, so that it serves callers that have a loop too."""

    def __init__(self, client: httpx.AsyncClient) -> None:
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


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
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


def _checked_host(url: str) -> str:
    """Returns the host of an address.

    Raises:
        TargetError: If it is no HTTP address, or holds a password.
    """
    require_no_key(url)
    # What stands before a host may be a password.
    shown = "".join(url.partition("://")[:2]) + url.partition("://")[2].rpartition("@")[2]
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise TargetError(f"{shown!r} is no address: check [target] url") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise TargetError(
            f"{shown!r} is no address of the form http://host:port: check [target] url"
        )
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
