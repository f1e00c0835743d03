"""Subjects with a known truth, and how their verdicts are counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.claims import tell
from darkroom.auditing.run_record import VerdictRecord
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
        audit: Audits it in a folder of its own and returns the verdict.
        cause: For a misuse, the cause that the check should name.
    """

    kind: str
    name: str
    truth: Truth
    audit: Callable[[Path], VerdictRecord]
    cause: str = ""


class Told(NamedTuple):
    """What an audit said of a subject.

    Attributes:
        case: The subject.
        outcome: The verdict's, ``refused`` where one line refused the subject, or ``crash``.
        causes: What failed checks named as causes.
        said: The sentence.
    """

    case: Case
    outcome: str
    causes: tuple[str, ...]
    said: str

    @property
    def right(self) -> bool:
        """Whether that is a right thing to say of it."""
        if self.case.truth == "misuse":
            return self.outcome in ("cannot tell", "refused")
        if self.case.truth == "nothing":
            return self.outcome == "none shown"
        return self.outcome == "leak"

    @property
    def explained(self) -> bool:
        """Whether the cause of a misuse was named, by a check or in the line that refused it."""
        return self.case.cause in self.causes or (
            self.outcome == "refused" and self.case.cause.lower() in self.said.lower()
        )


def tried(case: Case) -> Told:
    """Audits one subject."""
    with tempfile.TemporaryDirectory(prefix="darkroom-verdict-") as folder:
        try:
            verdict = case.audit(Path(folder))
        except DarkroomError as error:
            return Told(case, "refused", (), str(error))
        except Exception as error:
            return Told(case, "crash", (), f"{type(error).__name__}: {error}")
    causes = tuple(check.cause for check in verdict.checks if check.outcome == "failed")
    return Told(case, verdict.outcome, causes, " ".join((verdict.sentence, *verdict.reasons)))


def all_tried(cases: Sequence[Case]) -> Iterator[Told]:
    """Audits one subject after another, and says how each ended."""
    for number, case in enumerate(cases, 1):
        told = tried(case)
        mark = "" if told.right else "  <- wrong"
        tell(f"{number}/{len(cases)} {case.kind}: {case.name}: {told.outcome}{mark}")
        yield told
