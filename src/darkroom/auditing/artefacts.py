"""What an audit makes once and needs again: judges, priors, baselines, measurements of a model.

Each is kept under a hash of all that decides it, so that cells, processes and later runs share it.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from darkroom.auditing.packing import CannotPack, Packed, pack, unpack
from darkroom.files import is_leased, leased, write_private

T = TypeVar("T")

LIBRARIES = ("darkroom", "numpy", "scipy", "scikit-learn", "torch")
"""Another version of them may make something else."""

_STRUCTURE = "structure"


class Artefacts(NamedTuple):
    """A folder of what was made.

    Attributes:
        folder: In the run, or a cache that runs share; nothing is kept without one.
    """

    folder: Path | None = None

    def made(
        self, name: str, decisive: Sequence[object], make: Callable[[], T], *, waits: bool = True
    ) -> T:
        """Returns what is kept, or makes and keeps it.

        What has a part that :mod:`.packing` cannot pack, as a judge of somebody's own, is made
        anew each time; what cannot be read, as after damage or from another state of the code, is
        made anew and takes its place.

        Args:
            name: What it is, a word for the file.
            decisive: All that decides it, as JSON can hold it.
            make: Makes it.
            waits: Whether one process makes it, and others wait; otherwise each that finds it
                missing makes it at once, which is better for what it may be impossible to keep.

        Raises:
            RunError: If the folder cannot be written to.
        """
        if self.folder is None:
            return make()
        file = self.folder / f"{name}-{_key(decisive)}.npz"
        found = _found(file)
        if found is not None:
            return found[0]  # type: ignore[no-any-return]
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not waits:
            return _kept(file, make())
        with leased(file.with_suffix(".lease"), wait=True):
            found = _found(file)
            return _kept(file, make()) if found is None else found[0]

    def making(self, name: str) -> bool:
        """Tells whether a process makes an artefact of a name now."""
        if self.folder is None:
            return False
        return any(map(is_leased, self.folder.glob(f"{name}-*.lease")))

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Tells whether an artefact of a name is missing, and nobody else is about to make it.

        While the block runs, others are told no. It keeps nobody from :meth:`made`.
        """
        folder = self.folder
        if folder is None or any(folder.glob(f"{name}-*.npz")) or self.making(name):
            yield False
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with leased(folder / f"{name}.prepared") as mine:
            yield mine is not None


NOWHERE = Artefacts()
"""Keeps nothing."""


class Shelves(NamedTuple):
    """Where an audit keeps what it makes.

    Attributes:
        shared: What the plan's data decide: judges and priors, which other runs may need too.
        own: What depends on the model, or on files that the plan names, and is this run's alone.
    """

    shared: Artefacts
    own: Artefacts


UNSHELVED = Shelves(NOWHERE, NOWHERE)
"""Keeps nothing."""


def _key(decisive: Sequence[object]) -> str:
    """Returns a hash of all that decides an artefact, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps([versions(), *decisive]).encode()).hexdigest()[:16]


def versions(*further: str) -> list[list[str]]:
    """Returns the versions of the libraries that decide what is made.

    Args:
        further: Others than :data:`LIBRARIES`. Those that are not installed are left out.
    """
    known = [(name, _version(name)) for name in (*LIBRARIES, *further)]
    return [[name, version] for name, version in known if version is not None]


@functools.cache
def _version(name: str) -> str | None:
    """Returns the version of a library; ``None`` where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _kept(file: Path, value: T) -> T:
    """Keeps a value if it can be packed, and returns it as everybody will have it."""
    try:
        packed = pack(value)
    except CannotPack:
        return value
    _write(file, packed)
    # Arrays may lie otherwise in memory than those that were made, which can show in the last bit
    # of a product: everybody has them as they were packed.
    return unpack(packed)  # type: ignore[no-any-return]


def _write(file: Path, packed: Packed) -> None:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {str(place): one for place, one in enumerate(packed.arrays)}
    arrays[_STRUCTURE] = np.array(packed.structure)
    np.savez(buffer, **arrays)
    write_private(file, buffer.getbuffer())


def _found(file: Path) -> tuple[Any] | None:
    """Returns an artefact; ``None`` where there is none that can be read."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            arrays = [archive[str(place)] for place in range(len(archive.files) - 1)]
            return (unpack(Packed(str(archive[_STRUCTURE]), arrays)),)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
