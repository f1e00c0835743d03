"""A web application served for a test by a thread, on a free port of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from darkroom.guard.http.requests import Message, Receive, Scope, Send


@contextmanager
def served(application: Any) -> Iterator[str]:
    """Serves an ASGI application while the block runs.

    Args:
        application: What to serve.

    Yields:
        Its address, without a slash at the end.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            application, log_level="warning", ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


async def body_of(scope: Scope, receive: Receive, send: Send) -> bytes | None:
    """Returns the whole body of a request; of a server's start and end, which it answers, nothing.

    Args:
        scope: As an ASGI server gives it.
        receive: Gives messages.
        send: Takes answers.
    """
    if scope["type"] == "lifespan":
        for name in ("startup", "shutdown"):
            begun: Message = await receive()
            assert begun["type"] == f"lifespan.{name}"
            await send({"type": f"lifespan.{name}.complete"})
        return None
    body, more = b"", True
    while more:
        message: Message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body
