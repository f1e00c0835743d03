"""What can go wrong, each kind with a sentence that says how to mend it.

Every message is one line of the form *what, where, how to mend it*, because the command line
prints it as it is and exits with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DarkroomError(Exception):
    """Base of every error that Darkroom raises on purpose; its text is one readable line."""


class PlanError(DarkroomError):
    """A plan, or an argument of the Python interface, asks for something that cannot be done."""


class DataError(DarkroomError):
    """Photos or tables cannot be used: missing, of a wrong shape or range, or unreadable."""


class TargetError(DarkroomError):
    """The model cannot be loaded, or answers something other than what it was declared to."""


class RunError(DarkroomError):
    """A run on disk is missing, incomplete, or belongs to another plan."""


class MissingExtraError(DarkroomError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        """Names the library and the extra that brings it.

        Args:
            library: The import name that failed.
            extra: The extra of ``darkroom`` that installs it.
        """
        super().__init__(f"{library} is not installed: run pip install 'darkroom[{extra}]'")
        self._named = library, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Comes back whole from another process."""
        return MissingExtraError, self._named


def one_line(error: BaseException) -> str:
    r"""Returns what a foreign error says, on one line and cut to a readable length.

    >>> one_line(ValueError("no such\n  layer"))
    'ValueError: no such layer'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a hint at what may have been meant.

    Args:
        name: What was asked for.
        known: What there is.

    >>> nearest("gradinet", ["gradient", "mi-face"])
    "did you mean 'gradient'? Known: gradient, mi-face"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(names)}"


def require_known(owner: str, parameters: Iterable[str], known: Iterable[str]) -> None:
    """Refuses parameters that their owner does not have.

    Args:
        owner: What takes them, such as ``attack gradient``.
        parameters: What was given.
        known: What there is.

    Raises:
        PlanError: If one is unknown; the message names the nearest that is known.
    """
    names = list(known)
    for parameter in parameters:
        if parameter not in names:
            raise PlanError(f"{owner} has no parameter {parameter!r}: {nearest(parameter, names)}")
