"""The whole demo, kind by kind."""

from __future__ import annotations

from pathlib import Path

from darkroom.kinds import KINDS, imported
from darkroom.runs import Run


def run_demo(out: Path, *, seed: int = 0, progress: bool = True) -> list[Run]:
    """Does the whole job for every kind of audit; goes on where an earlier demo was stopped.

    Args:
        out: The folder of all runs: ``out/demo``, ``out/demo-table``, ``out/demo-text`` and
            ``out/demo-secrets``, each beside a folder with its inputs.
        seed: Decides the data, the models, the judges and the attacks.
        progress: Whether to show bars on standard error.

    Returns:
        A run a kind.

    Raises:
        DarkroomError: If the folder cannot be written, or a library is not installed.
    """
    return [imported(kind.demo)(out, seed=seed, progress=progress) for kind in KINDS.values()]
