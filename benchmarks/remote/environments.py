"""Environments for servers that are not ours, each with the versions that it wants."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from darkroom.errors import DarkroomError

ROOT = Path(__file__).resolve().parents[2]


class InstallError(DarkroomError):
    """A server cannot be installed here."""


def python_with(name: str, packages: tuple[str, ...]) -> Path:
    """Returns the Python of an environment with some packages, which is made where there is none.

    Args:
        name: Of its folder, under the project's.
        packages: As pip takes them.

    Raises:
        InstallError: If they cannot be installed.
    """
    home = ROOT / f".{name}-venv"
    found, mark = home / "bin/python", home / "installed.txt"
    if not mark.is_file() or mark.read_text() != "\n".join(packages):
        # Without a pip of its own, and compiled when it is used: a third of the time.
        make = [sys.executable, "-m", "venv", "--without-pip", str(home)]
        pip = [sys.executable, "-m", "pip", "--python", str(found), "install", "--no-compile"]
        quiet = ["--quiet", "--disable-pip-version-check"]
        for command in (make, [*pip, *quiet, *packages]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise InstallError(f"{name} cannot be installed: {done.stderr.strip()[-300:]}")
        mark.write_text("\n".join(packages))
    return found


def bare_environment() -> dict[str, str]:
    """Returns this process's environment without what leads to the project's own modules."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
