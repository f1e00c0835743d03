"""Which files of a folder are photos, and of which class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from darkroom.errors import DataError, nearest

_NO_PEOPLE = ("__macosx", "@eadir", "$recycle.bin")
_LITTER = ("thumbs.db", "desktop.ini", "ehthumbs.db")
_TRAINING = ("train", "training")
_HELD_OUT = ("val", "valid", "validation", "test", "testing", "dev")


class Place(NamedTuple):
    """A file of a person's.

    Attributes:
        file: Where it is.
        person: The class.
        seen: Whether it lies in a folder of training photos; ``None`` where folders do not say.
    """

    file: Path
    person: int
    seen: bool | None = None


class Found(NamedTuple):
    """What lies in a folder.

    Attributes:
        places: The files that may be photos, by class and then by name.
        names: The name of each class.
        litter: How many files were left out by their names.
    """

    places: list[Place]
    names: tuple[str, ...]
    litter: int


def find(path: Path, classes: Sequence[str] | None = None) -> Found:
    """Returns the files of people, one folder each, perhaps below ``train`` and ``val``.

    Args:
        path: The folder.
        classes: The names of the model's classes in order; the sorted names of folders when left
            out. Classes without a folder stay, without photos.

    Raises:
        DataError: If there is no folder of a person, or one that is no class.
    """
    parts = {item.name.lower(): item for item in _folders(path)}
    seen = {name: name in _TRAINING for name in parts if name in (*_TRAINING, *_HELD_OUT)}
    if not any(seen.values()) or len(seen) < len(parts):
        roots: list[tuple[Path, bool | None]] = [(path, None)]
    else:
        roots = [(parts[name], seen[name]) for name in sorted(seen, key=lambda one: not seen[one])]
    folders = [(folder, told) for root, told in roots for folder in _folders(root)]
    if not folders:
        raise DataError(f"{path}: no folders in it: put each person's photos into one folder")
    names = tuple(classes or sorted({folder.name for folder, _ in folders}))
    numbers = {name: number for number, name in enumerate(names)}
    places, litter = [], 0
    for folder, told in folders:
        if folder.name not in numbers:
            raise DataError(f"{folder}: no class of that name: {nearest(folder.name, names)}")
        for file in sorted(folder.rglob("*")):
            if file.is_dir():
                continue
            if _is_litter(file.relative_to(folder)):
                litter += 1
                continue
            places.append(Place(file, numbers[folder.name], told))
    return Found(places, names, litter)


def _folders(path: Path) -> list[Path]:
    return sorted(
        item
        for item in path.iterdir()
        if item.is_dir() and item.name[0] != "." and item.name.lower() not in _NO_PEOPLE
    )


def _is_litter(inside: Path) -> bool:
    names = [part.lower() for part in inside.parts]
    hidden = any(name.startswith(".") or name in _NO_PEOPLE for name in names)
    return hidden or names[-1] in _LITTER
