"""What an installation brings, by what packages say of themselves."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEAVY = frozenset(["jinja2", "pandas", "rich", "scikit-learn", "scipy", "torch", "typer"])
"""What a guard has no use for."""


def distributions(extra: str) -> set[str]:
    """Returns all that ``pip install 'darkroom[EXTRA]'`` brings beside Darkroom.

    Args:
        extra: One extra.

    Raises:
        PackageNotFoundError: If one of them is not installed here.
    """
    found: set[tuple[str, str]] = set()
    waiting = [("darkroom", extra), ("darkroom", "")]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for line in metadata.requires(one[0]) or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": one[1]}):
                name = canonicalize_name(wanted.name)
                waiting += [(name, ""), *((name, inner) for inner in wanted.extras)]
    return {name for name, _ in found} - {"darkroom"}


def megabytes(names: set[str]) -> float:
    """Returns how much room distributions take on this disk."""
    files = [file for name in names for file in metadata.files(name) or ()]
    return (
        sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())
        / 1e6
    )
