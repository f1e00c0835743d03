"""The language model that searches on the page look into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.auditing.progress import Reporter
from darkroom.errors import PlanError
from darkroom.lab.studio.stages import Loading, Stage

if TYPE_CHECKING:
    from darkroom.text.job import TextJob

NAME = "lab-text"
"""The run of the model that is trained here."""

STEPS = 260
"""Training steps of the lab's own language model, about a minute."""


class SecretsModel(Loading["TextJob"]):
    """The demo's language model with its canaries, or one that is trained here."""

    def __init__(self, out: Path) -> None:
        """Loads nothing yet.

        Args:
            out: The folder of all runs.
        """
        super().__init__()
        self._out = out

    @property
    def is_there(self) -> bool:
        """Whether a model was trained before, so that loading it takes a moment alone."""
        return any(path.exists() for path in self._plans)

    @property
    def _plans(self) -> list[Path]:
        # A plan is written last, and tells that all is there.
        return [self._out / f"{name}-inputs" / "plan.toml" for name in ("demo-text", NAME)]

    def open(self, reporter: Reporter) -> TextJob:
        """Loads it; see :meth:`Loading.open`."""
        from darkroom.kinds import load_job
        from darkroom.text.job import TextJob

        path = self._found_or_made(reporter)
        self.tell(Stage("Loading the language model"))
        job = load_job(path, reporter)
        if not isinstance(job, TextJob):
            raise PlanError(f"{path}: no audit of canaries in a language model")
        return job

    def _found_or_made(self, reporter: Reporter) -> Path:
        *_, path = self._plans
        for one in self._plans:
            if one.exists():
                return one
        from darkroom.demo.text import PLAN, make_text_inputs

        make_text_inputs(path.parent, seed=0, reporter=reporter, steps=STEPS)
        text = PLAN.format(plan=path.as_posix(), seed=0, out=self._out.as_posix())
        path.write_text(text.replace('"demo-text"', f'"{NAME}"'), encoding="utf-8")
        return path
