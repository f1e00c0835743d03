"""``python -m tools.newcomer``: does in a fresh clone what the start pages say, block by block.

A block with a title is a file and is written; a block of shell commands is run. What one page does
is one shell, so that a folder or an environment that a block enters is the next one's too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tools.blocks import Block, blocks_of

ROOT = Path(__file__).parents[1]
INSTALL = "README.md"
PATHS = ("image.md", "table.md", "language-model.md")
MOST_SECONDS = 600
"""Of a processor, for a page: the pages say ten minutes, and other work may be going on."""


class Walk(NamedTuple):
    """How a page went.

    Attributes:
        page: Its name.
        seconds: How long all of it took.
        processor: The processor time that it took.
        status: What its shell ended with.
        failed: The block that failed; empty if none did.
        outcomes: The verdicts of the runs that it made, by their names.
    """

    page: str
    seconds: float
    processor: float
    status: int
    failed: str
    outcomes: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Whether everything was done, in time, and a path came to a verdict."""
        in_time = self.processor <= MOST_SECONDS
        return not self.status and in_time and (self.page == INSTALL or bool(self.outcomes))


def script_of(blocks: Sequence[Block]) -> str:
    """Returns a shell script that does what blocks say, and names each before it begins."""
    return "\n".join(["set -euo pipefail", *_steps(blocks)]) + "\n"


def _steps(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        yield f"echo {shlex.quote(block.place)} >&3"
        if block.title:
            yield f"cat >{shlex.quote(block.title)} <<'END OF FILE'\n{block.code}END OF FILE"
        elif block.language == "sh":
            yield block.code


def walk(page: Path, folder: Path, before: str = "") -> Walk:
    """Does what a page says.

    Args:
        page: The page.
        folder: Where its first block begins.
        before: What every shell does first.
    """
    blocks = [one for one in blocks_of(page) if one.title or one.language == "sh"]
    places = folder / f".{page.stem}.places"
    script = before + script_of([one for one in blocks if not one.reason])
    environment = {**os.environ, "PS1": "", "OMP_NUM_THREADS": "1"}
    before_it = _outcomes(folder)
    begun, spent = time.monotonic(), _processor_seconds()
    with places.open("w", encoding="utf-8") as places_file:
        status = subprocess.run(
            ["bash", "-c", f"exec 3>&{places_file.fileno()}\n{script}"],
            cwd=folder,
            env=environment,
            pass_fds=[places_file.fileno()],
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
    seconds, spent = time.monotonic() - begun, _processor_seconds() - spent
    reached = places.read_text(encoding="utf-8").splitlines()
    failed = (reached[-1] if reached else "the beginning") if status else ""
    made = {run: how for run, how in _outcomes(folder).items() if run not in before_it}
    return Walk(page.name, seconds, spent, status, failed, made)


def _processor_seconds() -> float:
    """Returns the processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _outcomes(folder: Path) -> dict[str, str]:
    return {
        results.parent.name: json.loads(results.read_text(encoding="utf-8"))["verdict"]["outcome"]
        for results in sorted(folder.glob("*/runs/*/results.json"))
    }


def _clone(folder: Path, environment: Path | None) -> Path:
    """Clones what is committed; with an environment, the clone has that one already."""
    clone = folder / "darkroom"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    if environment is not None:
        (clone / ".venv").symlink_to(environment.resolve())
        (clone / ".installed-demo").touch()
    return clone


def main(arguments: Sequence[str] | None = None) -> int:
    """Walks the start pages and prints how each went.

    Returns:
        0 if all went well, 1 if not.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.newcomer", description=__doc__)
    parser.add_argument(
        "--environment", type=Path, help="an environment to use in place of a new one"
    )
    chosen = parser.parse_args(arguments)
    with TemporaryDirectory() as temporary:
        clone = _clone(Path(temporary), chosen.environment)
        start = clone / "docs/start"
        # An environment that is shared has another checkout's Darkroom.
        path = (
            f"export PYTHONPATH={shlex.quote(str(clone / 'src'))}\n" if chosen.environment else ""
        )
        walks = [walk(start / INSTALL, clone, path)]
        enter = f"{path}source .venv/bin/activate\n"
        if walks[0].good:
            walks += [walk(start / name, clone, enter) for name in PATHS]
    for one in walks:
        told = ", ".join(f"{run}: {outcome}" for run, outcome in one.outcomes.items())
        how = f"failed at {one.failed}" if one.failed else told or "done"
        times = f"{one.seconds:6.0f} s, {one.processor:4.0f} s of a processor"
        print(f"{'ok' if one.good else 'NO'}  {one.page:<20} {times}  {how}")
    return 0 if all(one.good for one in walks) else 1


if __name__ == "__main__":
    sys.exit(main())
