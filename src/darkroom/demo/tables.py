"""The demo's part on tables: does a model of diabetes' progression give away its patients' sex?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from darkroom.errors import MissingExtraError
from darkroom.files import claim, write_private
from darkroom.runs import Run, audit_plan
from darkroom.tables.data import load_diabetes_table

TRAINED_ON = 250
PRIVATE = 320
TREES = 50

PLAN = """\
# darkroom audit {plan} --resume
[run]
name = "demo-table"
seed = {seed}
out = "{out}"

[target]
kind = "sklearn"
load = "darkroom.demo.tables:progression_trees"
response = "progression"

[private]
table = "diabetes"
rows = "0:{private}"
sensitive = "sex"
trained_on = "0:{trained_on}"

[public]
table = "diabetes"
rows = "{private}:"

[[attack]]
name = "map"

[[attack]]
name = "tree-counts"
"""


def progression_trees() -> Any:
    """Returns extremely randomised trees that were trained on the first 250 patients.

    With scikit-learn's own settings they err no more on other patients than a random forest does,
    and not at all on those they have seen.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import ExtraTreesRegressor
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "tables") from error
    patients = load_diabetes_table().iloc[:TRAINED_ON]
    model = ExtraTreesRegressor(TREES, random_state=0)
    return model.fit(patients.drop(columns="progression"), patients["progression"])


def run_table_demo(out: Path, *, seed: int = 0, progress: bool = True) -> Run:
    """Audits a model of scikit-learn's diabetes table.

    Args:
        out: The folder of all runs. The plan goes to ``out/demo-table-inputs``, the run to
            ``out/demo-table``.
        seed: Decides the audit.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the folder cannot be written.
    """
    plan = table_demo_plan(out / "demo-table-inputs", out, seed=seed)
    return audit_plan(plan, resume=True, progress=progress)


def table_demo_plan(inputs: Path, out: Path, *, seed: int = 0) -> Path:
    """Writes a plan that audits a model of scikit-learn's diabetes table.

    Run it with ``darkroom.audit_plan(plan, resume=True)``.

    Args:
        inputs: Where the plan goes; made if need be.
        out: The folder of all runs; the run goes to ``out/demo-table``.
        seed: Decides the audit.

    Returns:
        The plan.

    Raises:
        RunError: If the folder cannot be written.
    """
    claim(inputs, "choose another --out, or remove it")
    plan = inputs / "plan.toml"
    text = PLAN.format(
        plan=plan.as_posix(),
        seed=seed,
        out=out.as_posix(),
        private=PRIVATE,
        trained_on=TRAINED_ON,
    )
    return write_private(plan, text.encode())
