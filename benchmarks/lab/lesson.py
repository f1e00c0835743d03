"""How long each experiment of the lesson takes, in a process of its own, without a page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.claims import Claim, Table, tell

BAR = 120.0
"""Seconds that a guided experiment may take."""

MEASURED = """
import json, sys
from pathlib import Path
from darkroom.lab.attributes.model import AttributesModel
from darkroom.lab.lesson.events import Answer
from darkroom.lab.lesson.others import EXPERIMENTS
from darkroom.lab.lesson.rooms import Rooms
from darkroom.lab.lesson.work import LiveExperiment
from darkroom.lab.secrets.model import SecretsModel
from darkroom.lab.studio.loading import Studio

out = Path(sys.argv[1])
studio = Studio(lambda _: out / "lab-inputs" / "plan.toml")
studio.load()
rooms = Rooms(studio, SecretsModel(out), AttributesModel(out))
for name in sys.argv[2:]:
    said = []
    experiment = LiveExperiment(name, EXPERIMENTS[name], rooms, said.append)
    experiment.begin()
    while not experiment.join(1.0):
        pass
    (answer,) = said
    assert isinstance(answer, Answer)
    print(json.dumps([name, answer.seconds, answer.sentence]), flush=True)
"""


def lesson_claims(out: Path, *, quick: bool) -> tuple[list[Claim], Table]:
    """Runs the experiments one after another; the first of each model waits until it is there.

    Args:
        out: The lab's folder, with its small model.
        quick: Whether to run the three that are over soon.
    """
    from darkroom.lab.lesson.others import EXPERIMENTS

    names = ["average", "limits", "attribute"] if quick else list(EXPERIMENTS)
    command = [sys.executable, "-c", MEASURED, str(out), *names]
    rows: list[list[object]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            name, seconds, sentence = json.loads(line)
            tell(f"the lesson's {name}: {seconds:.0f} s")
            rows.append([name, seconds, sentence])
    slowest = max((float(str(row[1])) for row in rows), default=None)
    if len(rows) < len(names):
        slowest = None
    claim = Claim(
        f"lesson: seconds of the slowest of {len(names)} experiments", BAR, slowest, at_most=True
    )
    return [claim], Table("The lesson's experiments", ("question", "seconds", "answer"), rows)
