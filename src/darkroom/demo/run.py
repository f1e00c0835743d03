"""The whole demo: faces in this process, the other kinds beside it in a second one.

When the second process is done, it takes part in the audit of faces, as ``darkroom work`` does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from darkroom.auditing.progress import Reporter
from darkroom.auditing.threads import cores, taking, told
from darkroom.errors import PlanError, RunError, nearest
from darkroom.kinds import KINDS, imported
from darkroom.report.results import collect
from darkroom.runs import Run

USUAL = ("images", "tables", "text")
"""Kinds of audit that are shown unless others are asked for: two minutes for two processors."""

COMMAND = "from darkroom.commands.main import main; main()"


def run_demo(
    out: Path, *, seed: int = 0, progress: bool = True, kinds: Sequence[str] = ()
) -> list[Run]:
    """Does the whole job for several kinds of audit; goes on where an earlier demo was stopped.

    Each process takes one thread, unless the environment says otherwise, so that results are the
    same on machines with more processors.

    Args:
        out: The folder of all runs: ``out/demo``, ``out/demo-table`` and ``out/demo-text``, and
            ``out/demo-secrets`` and ``out/demo-verifiers`` where these are asked for, each beside a
            folder with its inputs.
        seed: Decides the data, the models, the judges and the attacks.
        progress: Whether to show bars on standard error.
        kinds: Which kinds of audit; :data:`USUAL` when left out.

    Returns:
        A run a kind.

    Raises:
        DarkroomError: If a kind is unknown, the folder cannot be written, or a library is not
            installed.
    """
    wanted = list(kinds or USUAL)
    for name in wanted:
        if name not in KINDS:
            raise PlanError(f"demo: no kind is called {name!r}: {nearest(name, KINDS)}")
    with taking(told() or 1):
        if len(wanted) == 1 or cores() == 1:
            return [imported(KINDS[one].demo)(out, seed=seed, progress=progress) for one in wanted]
        first, *others = wanted
        joined = out / "demo" if first == "images" else None
        with _beside(others, out, seed, joined) as second:
            run = imported(KINDS[first].demo)(out, seed=seed, progress=progress)
            with Reporter(shown=progress).stage(f"Also {', '.join(others)}, by a second process"):
                return [run, *second.ended(out)]


class _Second(NamedTuple):
    """The second process.

    Attributes:
        process: It.
        found: What it prints: the results of its runs, as JSON.
        said: What it says on standard error.
    """

    process: subprocess.Popen[bytes]
    found: IO[bytes]
    said: IO[bytes]

    def ended(self, out: Path) -> list[Run]:
        """Waits for it, and returns its runs.

        Raises:
            RunError: If it failed, with what it said last.
        """
        status = self.process.wait()
        self.found.seek(0)
        self.said.seek(0)
        if status:
            last = self.said.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise RunError(f"demo: the second process ended with {status}: {last}")
        folders = [out / one["run"]["name"] for one in json.load(self.found)]
        return [Run(one, collect(one), one / "report.html") for one in folders]


@contextmanager
def _beside(kinds: Sequence[str], out: Path, seed: int, joined: Path | None) -> Iterator[_Second]:
    """Runs the demo of some kinds in a process that ends with this one.

    Args:
        kinds: Which.
        out: The folder of all runs.
        seed: The demo's.
        joined: A run in which it takes part when it is done.
    """
    options = ["--out", str(out), "--seed", str(seed), "--json", "--until-closed"]
    options += [word for kind in kinds for word in ("--kind", kind)]
    options += [] if joined is None else ["--join", str(joined)]
    with tempfile.TemporaryFile() as found, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, with no shell
            [sys.executable, "-P", "-c", COMMAND, "demo", *options],
            stdin=subprocess.PIPE,
            stdout=found,
            stderr=said,
        )
        try:
            yield _Second(process, found, said)
        finally:
            process.terminate()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
