"""One request to somebody's server, and what comes of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import httpx

from darkroom.errors import TargetError, one_line
from darkroom.redaction import without
from darkroom.remote.delivery import Delivery
from darkroom.remote.rate_limits import RateLimiter, retry_after
from darkroom.remote.retries import Miss, Missed
from darkroom.remote.shared_limits import SharedRateLimiter

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_RETRIES_OF_500 = 2
"""A server error may be an accident; more often it is what the server makes of this request."""

_REFUSAL = 300
"""Characters of a refusal that are shown: it says what the server wants."""

CONNECTING = 0.4
"""Share of the time-out for connecting (once for TCP, once for TLS), so that an attempt whose whole
time is over was connected, and its request may have been seen."""

_NOT_REACHED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class Exchange:
    """Sends single requests, and tells of each whether it was answered, missed or refused.

    Attributes:
        name: The target's, for messages.
        limiter: Keeps to the limits that the server tells.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        delivery: Delivery,
        *,
        name: str,
        secrets: Sequence[str] = (),
        query: str = "",
        quotes: bool = True,
        answers: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Takes a client, which the caller closes.

        Args:
            client: Its headers are sent along; it must not follow redirects.
            delivery: How the server is asked.
            name: The target's, for messages.
            secrets: What no message may show, even if the server sends it back.
            query: What every address ends with, and no log may show.
            quotes: Whether messages may show how an answer begins. Where they may not, a refusal is
                shown if it repeats nothing of the request.
            answers: Tells of a refusal (status 400 or 422) whether it is an answer all the same.
        """
        self._client = client
        self._headers = client.headers
        self._extensions = {"timeout": client.timeout.as_dict()}
        self._delivery = delivery
        self._secrets = [secret for secret in secrets if secret]
        self._query = query.encode()
        self._quotes, self._answers = quotes, answers
        self.name = name
        self.limiter = RateLimiter()
        if delivery.pace is not None:
            self.limiter = SharedRateLimiter(delivery.pace, delivery.concurrency, delivery.timeout)

    async def send(
        self, method: str, url: str, content: bytes | None = None, rows: int = 0
    ) -> bytes:
        """Sends a request once and returns the body of its answer.

        Raises:
            TargetError: If the answer is one that asking again will not mend.
            Missed: If there is none, or one that asking again may mend.
        """
        delivery = self._delivery
        self.limiter.sent(rows)
        try:
            async with (
                asyncio.timeout(delivery.timeout),
                self._answer(method, url, content) as response,
            ):
                if any(b"rate" in name.lower() for name, _ in response.headers.raw):
                    self.limiter.told(response.headers, rows)
                if response.status_code != httpx.codes.OK:
                    start = await _start(response)
                    if self._is_answer(response.status_code, start):
                        return start
                    raise self._bad_status(response, start, content or b"")
                return await self._whole(response)
        except _NOT_REACHED as error:
            raise Missed(Miss(self.clean(one_line(error)), False, delivery.retries)) from error
        except TimeoutError as error:
            reason = f"no whole answer within {delivery.timeout:g} s"
            raise Missed(Miss(reason, True, delivery.retries)) from error
        except httpx.HTTPError as error:
            raise Missed(Miss(self.clean(one_line(error)), True, delivery.retries)) from error
        finally:
            self.limiter.returned(rows)

    @asynccontextmanager
    async def _answer(
        self, method: str, url: str, content: bytes | None
    ) -> AsyncIterator[httpx.Response]:
        """Sends a request and gives its answer, the body still unread."""
        # Made directly, since the client would merge headers and address anew each time.
        request = httpx.Request(
            method, url, headers=self._headers, content=content, extensions=self._extensions
        )
        if self._query:
            # httpx logs a request's own address; what its transport sends is this instead.
            path = request.url.raw_path
            target = path + (b"&" if b"?" in path else b"?") + self._query
            request.extensions = {**self._extensions, "target": target}
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _whole(self, response: httpx.Response) -> bytes:
        """Reads a body within its bound.

        Raises:
            TargetError: If it is longer, or compressed, which hides how long it is.
        """
        coding, longest = _coding(response), self._delivery.longest_answer
        if coding:
            raise TargetError(
                f"target {self.name}: the server compresses its answer ({coding[:20]!r}) although "
                "it was asked not to: turn that off"
            )
        chunks: list[bytes] = []
        length = 0
        async for chunk in response.aiter_bytes():
            length += len(chunk)
            if length > longest:
                raise TargetError(
                    f"target {self.name}: the answer is longer than {longest} bytes; it begins "
                    f"{self.excerpt(chunks[0] if chunks else chunk)}: lower [target] batch or set "
                    "longest_answer"
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _is_answer(self, status: int, start: bytes) -> bool:
        refused = status in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)
        return refused and self._answers is not None and self._answers(start)

    def _bad_status(self, response: httpx.Response, start: bytes, sent: bytes) -> Exception:
        """Returns the error for an answer that is not 200."""
        status = response.status_code
        shown = self._quotes or not repeats(start, sent)
        excerpt = self._shown(start, _REFUSAL) if shown else self.excerpt(start)
        said = f"the server answered {status}, {excerpt}"
        if status in _TRANSIENT:
            limit = _RETRIES_OF_500 if status == httpx.codes.INTERNAL_SERVER_ERROR else None
            retries = self._delivery.retries
            wait = retry_after(response.headers) or 0.0
            refused = status == httpx.codes.TOO_MANY_REQUESTS
            return Missed(Miss(said, True, min(retries, limit or retries), wait, refused))
        hints = {
            401: "check [target] api_key_env, headers_from_env or parameters_from_env",
            403: "check [target] api_key_env, headers_from_env or parameters_from_env",
            404: "check [target] url and model",
            413: "lower [target] batch",
        }
        hint = hints.get(status, "check that [target] describes what the server takes")
        if not self._quotes and status in (400, 422):
            hint = "check [target] url, model and style; rename, omit and extra change requests"
        if 300 <= status < 400:
            hint = "redirects are not followed; set [target] url to where the model is"
        return TargetError(f"target {self.name}: {said}: {hint}")

    def excerpt(self, content: bytes) -> str:
        """Returns how an answer begins, on one line; only its length where it may hold a secret."""
        if not self._quotes:
            return f"({len(content)} bytes, not shown: they may hold a secret)"
        return self._shown(content, 120)

    def _shown(self, content: bytes, length: int) -> str:
        """Returns the first characters of an answer on one line, without secrets."""
        text = self.clean(content[:2000].decode("utf-8", "replace"))
        shown = "".join(one if one.isprintable() else " " for one in text[:length])
        return repr(" ".join(shown.split()))

    def clean(self, text: str) -> str:
        """Returns a text without secrets."""
        return without(text, self._secrets)


def repeats(said: bytes, sent: bytes) -> bool:
    """Tells whether a refusal may repeat a text that was sent, of which a part may be secret.

    Args:
        said: What the server says.
        sent: The request, JSON: its texts are looked at, its members' names and the model are not.
    """
    try:
        texts = " ".join(_texts(json.loads(sent)))
    except ValueError:
        return True
    words = re.findall(r"\w+", said.decode("utf-8", "replace"))
    return any(word in texts for word in words if len(word) > 2 or word.isdigit())


def _texts(value: object) -> Iterator[str]:
    """Yields the texts in a request but its model and its messages' roles."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key not in ("model", "role"):
                yield from _texts(one)


def _coding(response: httpx.Response) -> str:
    """Returns how a body is compressed; nothing for not at all."""
    coding: str = response.headers.get("content-encoding", "")
    return "" if coding == "identity" else coding


async def _start(response: httpx.Response) -> bytes:
    """Returns the first bytes of a body that may be shown."""
    start = b""
    if not _coding(response):
        async for chunk in response.aiter_bytes():
            start += chunk[:2000]
            if len(start) >= 2000:
                break
    return start
