"""Whose model attacks on the page look into: the lab's own plan, or that of a run."""

from __future__ import annotations

from pathlib import Path

from darkroom.errors import DarkroomError, RunError
from darkroom.lab.runs.folders import folder_of, folders_in
from darkroom.lab.studio.loading import Studio
from darkroom.report.results import read_run

MOST_STUDIOS = 4
"""Models that are kept loaded, beside the lab's own."""


class Studios:
    """The lab's own studio, and those of runs, which are loaded when somebody first asks.

    Attributes:
        usual: The lab's own.
    """

    def __init__(self, usual: Studio, out: Path) -> None:
        """Loads nothing yet.

        Args:
            usual: The lab's own.
            out: The folder of all runs.
        """
        self.usual, self._out = usual, out
        self._others: dict[str, Studio] = {}

    def names(self) -> list[str]:
        """Returns the runs of images whose plan is still where it was."""
        return [name for name in folders_in(self._out) if _plan_of(self._out, name) is not None]

    def of(self, run: str) -> Studio:
        """Returns the studio of a run, and begins to load it; the usual one for an empty name.

        Raises:
            RunError: If there is no such run, or its plan is gone.
        """
        if not run:
            return self.usual
        if run not in self._others:
            if (plan := _plan_of(self._out, run)) is None:
                raise RunError(
                    f"run {run}: no audit of images whose plan is still where it was: choose "
                    "another"
                )
            if len(self._others) >= MOST_STUDIOS:
                # Whoever looks into it holds it; nobody else will find it any more.
                self._others.pop(next(iter(self._others)))
            self._others[run] = Studio(lambda _: plan)
        studio = self._others[run]
        studio.load()
        return studio


def _plan_of(out: Path, run: str) -> Path | None:
    """Returns the plan of a run of images, if it is still there."""
    from darkroom.images.plan import ImagePlan
    from darkroom.kinds import read_plan

    folder = folder_of(out, run)
    if folder is None:
        return None
    try:
        told = read_run(folder).plan
        path = None if told is None else Path(told)
        return path if path is not None and isinstance(read_plan(path), ImagePlan) else None
    except DarkroomError:
        return None
