"""Serving the lab to this machine's own browser until somebody interrupts it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from darkroom.errors import MissingExtraError, RunError

try:
    import uvicorn

    from darkroom.lab.application import application
    from darkroom.lab.opening import open_browser
    from darkroom.lab.protection import OneTimeCodes
    from darkroom.lab.runs.export import export as export
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "starlette", "lab") from error

if TYPE_CHECKING:
    from darkroom.lab.studio.loading import Studio

HOST = "127.0.0.1"
USUAL_PORT = 8765


def serve(
    studio: Studio,
    out: Path,
    *,
    port: int | None = None,
    browse: bool = False,
    say: Callable[[str], None],
) -> NoReturn:
    """Serves the lab until it is interrupted, and ends the process.

    Args:
        studio: The model and the judges.
        out: The folder of all runs.
        port: Where; 0 for any that is free. When left out, the usual one, or any if that is taken.
        browse: Whether to open the page in a browser.
        say: Told in a line where it is.

    Raises:
        RunError: If the port is taken.
    """
    token = secrets.token_urlsafe(24)
    with _listening(port) as listener:
        server = f"http://{HOST}:{listener.getsockname()[1]}"
        say(f"Darkroom's lab is at {server}/?token={token}")
        say("Whoever has this address can use it, on this machine alone. Ctrl-C ends it.")
        codes = OneTimeCodes()
        opened = open_browser(server, codes) if browse else None
        config = uvicorn.Config(
            application(studio, out, token, codes),
            log_level="warning",
            access_log=False,
            ws="none",
            # An open page holds its stream as long as it can.
            timeout_graceful_shutdown=1,
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    if opened is not None:  # unless the code was used, and the file is gone
        shutil.rmtree(opened, ignore_errors=True)
    say("The lab is closed.")
    sys.stdout.flush()
    # Judges may still be learning in a thread, and PyTorch aborts a process that ends meanwhile.
    os._exit(0)


def _listening(port: int | None) -> socket.socket:
    """Returns a socket that listens on this machine alone.

    Raises:
        RunError: If the port is taken.
    """
    wanted = USUAL_PORT if port is None else port
    try:
        return socket.create_server((HOST, wanted))
    except OSError as error:
        if port is None:
            return socket.create_server((HOST, 0))
        raise RunError(
            f"port {port} cannot be used ({error.strerror}): choose another with --port, or 0 for "
            "any that is free"
        ) from error
