"""The audit of a table that the page on attributes looks into."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from darkroom.auditing.blocks import discard
from darkroom.auditing.job import Session
from darkroom.auditing.progress import Reporter
from darkroom.errors import PlanError
from darkroom.files import claim
from darkroom.lab.studio.stages import Loading, Stage

if TYPE_CHECKING:
    import numpy as np

    from darkroom.tables.cell_plan import TableCellPlan
    from darkroom.tables.job import TableJob
    from darkroom.tables.judging import TableBench
    from darkroom.tables.record import TableCell
    from darkroom.tables.subject import Who

NAME = "lab-table"
"""The run of the table, where the demo was not run."""


class Attacked(NamedTuple):
    """What one attack said of everybody.

    Attributes:
        plan: The attack.
        cell: What it comes to over all rows, as the audit judges it.
        posterior: How probable each value is, for members and others, ``(rows, values)``.
    """

    plan: TableCellPlan
    cell: TableCell
    posterior: dict[Who, NDArray[np.float64]]


class Attributes(NamedTuple):
    """A table whose rows have been attacked.

    Attributes:
        job: The audit.
        bench: What guesses without the model come to.
        attacks: By name.
    """

    job: TableJob
    bench: TableBench
    attacks: dict[str, Attacked]


class AttributesModel(Loading[Attributes]):
    """The demo's model of patients, attacked by the audit's own code."""

    def __init__(self, out: Path) -> None:
        """Loads nothing yet.

        Args:
            out: The folder of all runs.
        """
        super().__init__()
        self._out = out

    def open(self, reporter: Reporter) -> Attributes:
        """Loads the table and attacks every row; see :meth:`Loading.open`."""
        from darkroom.kinds import load_job
        from darkroom.tables.job import TableJob

        path = self._found_or_made()
        self.tell(Stage("Loading the table"))
        job = load_job(path, reporter)
        if not isinstance(job, TableJob):
            raise PlanError(f"{path}: no audit of a table")
        claim(job.plan.run_folder, "choose another --out")
        keys = job.keys(metadata.version("darkroom"))
        session = Session(job, keys, reporter)
        return Attributes(job, session.bench(keys[0]), self._attacked(job, keys, session))

    def _attacked(
        self, job: TableJob, keys: Sequence[str], session: Session[Any, Any, Any]
    ) -> dict[str, Attacked]:
        """Runs every attack of the plan without a defence on members and on others."""
        from darkroom.tables.record import TableCell

        found: dict[str, Attacked] = {}
        for key, (_, plan) in zip(keys, job.planned, strict=True):
            if plan.defense.defenses or plan.guarded is not None or plan.attack.name in found:
                continue
            _, cell, arrays = session.run(key)
            discard(job.plan.run_folder, key)
            assert isinstance(cell, TableCell)
            posterior: dict[Who, NDArray[np.float64]] = {
                "members": arrays["members_posterior"],
                "others": arrays["others_posterior"],
            }
            found[plan.attack.name] = Attacked(plan, cell, posterior)
        return found

    def _found_or_made(self) -> Path:
        for name in ("demo-table", NAME):
            plan = self._out / f"{name}-inputs" / "plan.toml"
            if plan.exists():
                return plan
        from darkroom.demo.tables import table_demo_plan

        plan = table_demo_plan(self._out / f"{NAME}-inputs", self._out)
        text = plan.read_text(encoding="utf-8")
        plan.write_text(text.replace('"demo-table"', f'"{NAME}"'), encoding="utf-8")
        return plan
