"""The demo's part on tables: does a model of diabetes' progression give away its patients' sex?"""

from __future__ import annotations

from pathlib import Path

from darkroom.data.tables import load_diabetes_table
from darkroom.errors import MissingExtraError, RunError
from darkroom.files import write_private

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
load = "progression.skops"
trusted = ["sklearn.tree._tree.Tree"]   # the model is our own
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


def table_demo_plan(inputs: Path, out: Path, *, seed: int = 0) -> Path:
    """Trains a model of scikit-learn's diabetes table and writes a plan that audits it.

    Takes a few seconds; run the plan with ``darkroom.audit_plan(plan, resume=True)``. What is
    there already for the same seed is kept.

    Args:
        inputs: Where model and plan go; made if need be.
        out: The folder of all runs; the run goes to ``out/demo-table``.
        seed: Decides the model and the audit.

    Returns:
        The plan.

    Raises:
        RunError: If the folder cannot be written.
        MissingExtraError: If scikit-learn or skops is not installed.
    """
    try:
        from sklearn.ensemble import RandomForestRegressor
        from skops import io
    except ImportError as error:
        raise MissingExtraError(error.name or "skops", "tables") from error
    plan = inputs / "plan.toml"
    text = PLAN.format(
        plan=plan.as_posix(),
        seed=seed,
        out=out.as_posix(),
        private=PRIVATE,
        trained_on=TRAINED_ON,
    )
    if plan.exists() and plan.read_text(encoding="utf-8") == text:
        return plan
    try:
        inputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{inputs}: {error.strerror}: choose another --out") from error
    patients = load_diabetes_table().iloc[:TRAINED_ON]
    model = RandomForestRegressor(TREES, random_state=seed)
    model.fit(patients.drop(columns="progression"), patients["progression"])
    write_private(inputs / "progression.skops", io.dumps(model))
    # The plan is written last: it tells that all is there.
    return write_private(plan, text.encode())
