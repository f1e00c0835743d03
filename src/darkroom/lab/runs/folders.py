"""Which runs there are, and where: in a folder of all runs, or in the folder of one."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def home_of(out: Path) -> Path:
    """Returns the folder of all runs, also where the folder of one is given."""
    return out.resolve().parent if (out / "run.json").is_file() else out


def folders_in(out: Path) -> list[str]:
    """Returns the names of the runs in a folder, or of the one that it is.

    Args:
        out: The folder of all runs, or of one.
    """
    if (out / "run.json").is_file():
        return [out.resolve().name]
    return sorted(file.parent.name for file in out.glob("*/run.json"))


def folder_of(out: Path, name: str) -> Path | None:
    """Returns the folder of a run; ``None`` if there is none of that name.

    Args:
        out: The folder of all runs, or of one.
        name: Comes from an address, and may be anything.
    """
    if not _NAME.fullmatch(name):
        return None
    if (out / "run.json").is_file():
        return out if out.resolve().name == name else None
    folder = out / name
    return folder if (folder / "run.json").is_file() else None
