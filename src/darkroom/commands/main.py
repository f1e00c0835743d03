"""Where the command line begins, and how it ends."""

from __future__ import annotations

import sys
from typing import NoReturn

from darkroom.commands.ending import guarded
from darkroom.errors import MissingExtraError

GUARD = "guard"


def main() -> NoReturn:
    """Runs the command line, and ends the process with its status.

    The guard is served where nothing of audits is installed, so it is found before they are
    imported.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == [GUARD]:
        guarded(lambda: _serve(arguments[1:]), resumable=False)
    guarded(_audit)


def _serve(arguments: list[str]) -> NoReturn:
    try:
        from darkroom.commands.guard import run
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "click", GUARD) from error
    sys.exit(run(arguments))


def _audit() -> None:
    try:
        from darkroom.commands.app import app
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "typer", "audit") from error
    app()
