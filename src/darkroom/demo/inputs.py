"""Inputs that a demo makes once, and the audit of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from darkroom.auditing.progress import Reporter
from darkroom.runs import Run, audit_plan


def audit_made(
    name: str,
    plan: str,
    make: Callable[[Path, Reporter], object],
    *,
    out: Path,
    seed: int,
    progress: bool,
) -> Run:
    """Makes a demo's inputs and audits them; goes on where it was stopped.

    The plan is written last and tells that all is there: what it was written for is not made again.

    Args:
        name: The run's; the inputs go to ``out/NAME-inputs``.
        plan: The plan, with ``{plan}``, ``{seed}`` and ``{out}``.
        make: Makes the inputs in a folder, and shows its stages.
        out: The folder of all runs.
        seed: The plan's.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the inputs cannot be made or audited.
    """
    inputs = out / f"{name}-inputs"
    path = inputs / "plan.toml"
    text = plan.format(plan=path.as_posix(), seed=seed, out=out.as_posix())
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        make(inputs, Reporter(shown=progress))
        path.write_text(text, encoding="utf-8")
    return audit_plan(path, resume=True, progress=progress)
