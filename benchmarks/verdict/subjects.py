"""Subjects with a known truth, and what audits say of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom import Run
from darkroom.errors import DarkroomError

Truth = Literal["by heart", "half", "one", "nothing", "misuse"]
"""What the model gives away: all goals, half of them, a single one, nothing; or that it is set up
wrongly, so that nobody can tell."""


class Case(NamedTuple):
    """A subject with a known truth.

    Attributes:
        kind: The kind of audit.
        name: What the subject is.
        truth: What is true of it.
        audit: Audits it in a folder of its own.
        cause: For a misuse, the cause that the check should name.
    """

    kind: str
    name: str
    truth: Truth
    audit: Callable[[Path], Run]
    cause: str = ""


class Told(NamedTuple):
    """What an audit said of a subject.

    Attributes:
        kind: The kind of audit.
        name: What the subject is.
        truth: What is true of it.
        cause: For a misuse, the cause that should be named.
        outcome: The verdict's, ``refused`` where one line refused the subject, or ``crash``.
        causes: What failed checks named as causes.
        said: The verdict in sentences, or the line that refused.
        advantage: Of the strongest attack; ``None`` where nothing was attacked.
        smallest: The smallest advantage that the audit says it would have found.
    """

    kind: str
    name: str
    truth: Truth
    cause: str
    outcome: str
    causes: tuple[str, ...]
    said: str
    advantage: float | None = None
    smallest: float | None = None

    @property
    def right(self) -> bool:
        """Whether that is a right thing to say of it."""
        if self.truth == "misuse":
            return self.outcome in ("cannot tell", "refused")
        return self.outcome == ("none shown" if self.truth == "nothing" else "leak")

    @property
    def explained(self) -> bool:
        """Whether the cause of a misuse was named, by a check or in the line that refused it."""
        refused = self.outcome == "refused" and self.cause in self.said.lower()
        return self.right and (self.cause in self.causes or refused)

    @property
    def accused(self) -> bool:
        """Whether the check failed, or the subject was refused."""
        return bool(self.causes) or self.outcome in ("refused", "crash")


def tried(case: Case) -> Told:
    """Audits one subject."""
    kind, name, truth, audit, cause = case
    with tempfile.TemporaryDirectory(prefix="darkroom-verdict-") as folder:
        try:
            run = audit(Path(folder))
        except DarkroomError as error:
            return Told(kind, name, truth, cause, "refused", (), str(error))
        except Exception as error:
            return Told(kind, name, truth, cause, "crash", (), f"{type(error).__name__}: {error}")
    verdict = run.verdict
    causes = tuple(check.cause for check in verdict.checks if check.outcome == "failed")
    said = " ".join((verdict.sentence, *verdict.reasons))
    found = max((cell.advantage.estimate for cell in run.cells), default=None)
    return Told(
        kind, name, truth, cause, verdict.outcome, causes, said, found, verdict.smallest_detectable
    )


def arrays_of(run: Run) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a run's only cell."""
    (path,) = run.folder.glob("cells/*/reconstructions.npz")
    with np.load(path) as arrays:
        return dict(arrays)
