"""Rows a second through an HTTP target against a plain loop with the same HTTP client."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.claims import Claim, Table, tell
from darkroom.images.targets.http import HttpTarget
from darkroom.images.targets.wire.plain_json import PlainJson
from darkroom.remote.delivery import Delivery
from darkroom.vision.spec import ImageSpec

SHAPE = (1, 56, 46)
CLASSES = 40
SETTINGS = ((1, 1), (1, 8), (16, 4), (64, 4))
"""Rows a request, and requests at once."""

QUERY = 256
"""The fewest rows asked about at a time: some people with a dozen candidates each."""


def http_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times both against one server on loopback, in turns, and takes medians.

    The ratio is the median of those of neighbours in time, since whatever else the machine does
    slows both.

    The server is a process of its own that multiplies by a matrix, so that little time passes in
    it. The plain loop is what one would write for speed: an asynchronous client with pooled
    connections, as many workers as requests at once, and the same fast JSON library.

    Args:
        quick: Whether to send fewer rows.
        seed: For the images.
    """
    seconds, repeats = (0.3, 5) if quick else (0.6, 11)
    rng = np.random.default_rng(seed)
    ratios: list[float] = []
    table: list[list[object]] = []
    with _server() as url:
        for batch, concurrency in SETTINGS:
            tell(f"timing HTTP: {batch} rows a request, {concurrency} at once")
            images = rng.random((max(QUERY, batch * concurrency * 8), *SHAPE), np.float32)
            with (
                _target(url, batch, concurrency) as target,
                _Plain(url, batch, concurrency) as loop,
            ):
                np.testing.assert_allclose(target.scores(images), loop.scores(images), atol=1e-6)
                pairs = [
                    (_rate(target, images, seconds), _rate(loop, images, seconds))
                    for _ in range(repeats)
                ]
            ours, plain = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            ratios.append(statistics.median(mine / other for mine, other in pairs))
            table.append([batch, concurrency, ours, plain, ratios[-1]])
    claim = Claim(
        "http: rows a second over those of a plain httpx loop, at least", 0.8, min(ratios)
    )
    columns = ("rows a request", "at once", "ours rows/s", "plain rows/s", "ratio")
    title = f"HTTP throughput on loopback, images of {' by '.join(map(str, SHAPE))}"
    return [claim], [Table(title, columns, table)]


def _rate(asked: HttpTarget | _Plain, images: NDArray[np.float32], seconds: float) -> float:
    """Returns rows a second, asking again and again for some time."""
    rows, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        asked.scores(images)
        rows += len(images)
    return rows / passed


@contextmanager
def _target(url: str, batch: int, concurrency: int) -> Iterator[HttpTarget]:
    target = HttpTarget(
        PlainJson(url, ImageSpec(SHAPE)),
        SHAPE,
        authorized_by="the benchmark",
        delivery=Delivery(batch=batch, concurrency=concurrency),
    )
    try:
        yield target
    finally:
        target.close()


class _Plain:
    """A loop without any care: no retries, no limits, no checks, no ledger."""

    def __init__(self, url: str, batch: int, concurrency: int) -> None:
        self.url, self.batch, self.concurrency = url, batch, concurrency
        self.runner = asyncio.Runner()
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self.client = httpx.AsyncClient(
            limits=limits, trust_env=False, headers={"content-type": "application/json"}
        )

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *error: object) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Asks about all images."""
        return self.runner.run(self._scores(images))

    async def _scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        answers: dict[int, NDArray[np.float64]] = {}
        queue = iter(range(0, len(images), self.batch))

        async def work() -> None:
            for first in queue:
                body = {"inputs": images[first : first + self.batch]}
                content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
                response = await self.client.post(self.url, content=content)
                answers[first] = np.array(orjson.loads(response.content)["scores"])

        await asyncio.gather(*(work() for _ in range(self.concurrency)))
        return np.concatenate([answers[first] for first in sorted(answers)])


@contextmanager
def _server() -> Iterator[str]:
    """Runs the server below in a process of its own and yields its address."""
    command = "from benchmarks.remote.speed import serve; serve()"
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", command], cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/faces"
    finally:
        process.terminate()
        process.communicate()


def serve() -> None:
    """Answers on a free port of the loopback, which it prints, until it is ended."""
    asyncio.run(_serve())


async def _serve() -> None:
    weights = np.random.default_rng(0).standard_normal((int(np.prod(SHAPE)), CLASSES)) / 50

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                rows = np.array(orjson.loads(await reader.readexactly(length))["inputs"])
                raised = np.exp(rows.reshape(len(rows), -1) @ weights)
                scores = raised / raised.sum(axis=1, keepdims=True)
                body = orjson.dumps({"scores": scores}, option=orjson.OPT_SERIALIZE_NUMPY)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
