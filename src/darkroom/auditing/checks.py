"""Whether the subject is what its owner thinks, asked before any attack.

A model without its weights, or whose classes stand in another order than the photos, leaks nothing
that an audit could see. What a check finds is said with the cause, which it finds by trying.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from darkroom.auditing.job import Job
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.errors import PlanError, nearest


def failed(checks: Sequence[Check]) -> list[Check]:
    """Returns the checks without which there is no verdict."""
    return [check for check in checks if check.outcome == "failed"]


def check_job(job: Job[Any, Any, Any, Any], reporter: Reporter) -> tuple[Check, ...]:
    """Checks the first model of an audit, which is the undefended one, and its data.

    Args:
        job: The audit.
        reporter: Shows what is done.

    Returns:
        What each check found; those that the plan ignores are no failures.

    Raises:
        PlanError: If the plan ignores a check that there is not.
    """
    subject = job.first.open(reporter)
    with reporter.stage("Checking the subject") as advance:
        checks = job.check(subject, advance)
    return _heeded(checks, job.plan.check.ignore)


def check_key(job: Job[Any, Any, Any, Any], version: str) -> str:
    """Returns a hash of all that decides what the checks find.

    Args:
        job: The audit.
        version: Darkroom's, since another one may check otherwise.
    """
    words = [job.first.digest, version, *sorted(job.plan.check.ignore)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _heeded(checks: Sequence[Check], ignored: Collection[str]) -> tuple[Check, ...]:
    names = {check.name for check in checks}
    for name in ignored:
        if name not in names:
            raise PlanError(f"check.ignore: no check is called {name!r}: {nearest(name, names)}")
    return tuple(
        check.model_copy(update={"outcome": "ignored"})
        if check.outcome == "failed" and check.name in ignored
        else check
        for check in checks
    )
