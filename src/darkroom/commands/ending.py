"""How a command ends: one line for a mistake, whatever it holds, and a status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from typing import NoReturn

from darkroom.errors import DarkroomError

MISTAKE = 2
OURS = 70
INTERRUPTED = 130

STATUSES = {
    0: "done; with `--fail-on-leak`, no leak was shown",
    1: "a leak above the plan's limit, with `--fail-on-leak`",
    MISTAKE: "something given cannot be used; one line says what, where and how to mend it",
    3: "no verdict can be reached, with `--fail-on-leak` or from `check`",
    OURS: "a fault of Darkroom's own, never confused with a leak",
    INTERRUPTED: "interrupted; `--resume` goes on",
}
"""What the statuses mean with which commands end."""


def say(line: str) -> None:
    """Writes a line to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def guarded(command: Callable[[], object], *, resumable: bool = True) -> NoReturn:
    """Runs a command and ends the process.

    A mistake of the user's is one line and exit status 2; a fault of Darkroom's own is told from a
    mistake and from a leak by its status, 70.

    Args:
        command: What to run.
        resumable: Whether one that was interrupted may go on with ``--resume``.
    """
    try:
        command()
    except DarkroomError as error:
        _end(str(error))
    except BrokenPipeError:
        # Whoever reads the output has gone; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(MISTAKE)
    except MemoryError:
        _end("not enough memory: lower [target] memory or batch, or give fewer or smaller inputs")
    except OSError as error:
        if error.filename is None:
            _fault()
        _end(f"{os.fsdecode(error.filename)}: {error.strerror}: check the path")
    except SystemExit as end:
        if end.code == INTERRUPTED and resumable:  # what Typer makes of Ctrl-C
            say("darkroom: interrupted; go on with --resume")
        raise
    except Exception:
        _fault()
    sys.exit(0)


def _end(message: str) -> NoReturn:
    """Says what was wrong on one line, whatever a name in it holds."""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in message)
    say(f"darkroom: {shown}")
    sys.exit(MISTAKE)


def _fault() -> NoReturn:
    version = metadata.version("darkroom")
    say(
        f"darkroom: a fault of Darkroom {version} itself, not of your model or data: please "
        "report the command and the lines below, which may hold names of yours"
    )
    traceback.print_exc()
    sys.exit(OURS)
