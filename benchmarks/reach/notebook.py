"""An audit in a notebook that a kernel runs, as people see it there."""

from __future__ import annotations

import importlib
from pathlib import Path

AUDIT = """
from pathlib import Path
import darkroom
from benchmarks.reach.planted.tables import INPUTS, MEMBERS, planted

data = planted("risk")
columns = [*INPUTS, data.response]
run = darkroom.audit_table(
    lambda table: 3.0 * table["smoker"].to_numpy(),
    data.private[columns],
    data.public[columns],
    response=data.response,
    sensitive="smoker",
    trained_on=f"0:{MEMBERS}",
    imputer="logistic",
    out=Path("runs"),
)
"""

MOST_BYTES = 100_000


def in_a_notebook(folder: Path) -> bool:
    """Runs an audit in a kernel, and tells whether its run shows the leak there in little room.

    Args:
        folder: Where the notebook runs.
    """
    formats = importlib.import_module("nbformat.v4")
    client = importlib.import_module("nbclient").NotebookClient
    cells = [formats.new_code_cell(text) for text in (AUDIT, "run", "run.verdict.outcome")]
    notebook = formats.new_notebook(cells=cells)
    place = {"metadata": {"path": str(folder)}}
    client(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    audit, shown, outcome = (cell["outputs"] for cell in notebook["cells"])
    said = "".join(one.get("text", "") for one in audit if one["output_type"] == "stream")
    page = shown[-1]["data"]["text/html"]
    return (
        "Traceback" not in said
        and "ipywidgets" not in said
        and len(said) < MOST_BYTES
        and len(page) < MOST_BYTES
        and "leak" in page
        and outcome[-1]["data"]["text/plain"] == "'leak'"
    )
