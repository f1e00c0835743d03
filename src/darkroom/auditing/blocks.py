"""Blocks of a large cell: goals attacked apart, by any process, and kept until it is written."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.claims import Holder, held, holder_of
from darkroom.auditing.store import Store
from darkroom.errors import RunError
from darkroom.files import is_leased, refused, sync_folder

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

FOLDER = "blocks"
"""In a run's folder."""


class Blocks(NamedTuple):
    """The blocks of one cell.

    Attributes:
        folder: Where they are kept, in the run's folder.
        key: The cell's.
        ranges: Which goals are in each, in order.
    """

    folder: Path
    key: str
    ranges: list[range]

    @classmethod
    def cut(cls, run: Path, key: str, goals: int, size: int) -> Blocks:
        """Cuts a cell into blocks of equal sizes.

        Args:
            run: The run's folder.
            key: The cell's.
            goals: How many goals it has.
            size: The most goals of a block.
        """
        count = -(-goals // size)
        ends = [goals * number // count for number in range(count + 1)]
        return cls(run / FOLDER, key, [range(*pair) for pair in pairwise(ends)])

    @property
    def files(self) -> list[Path]:
        """Where each is kept."""
        return [self.folder / f"{self.key}.{one.start}-{one.stop}.npz" for one in self.ranges]

    def made(self, number: int) -> bool:
        """Tells whether a block is there, whole."""
        return zipfile.is_zipfile(self.files[number])

    def make(self, number: int, make: Callable[[range], Iterable[Arrays]]) -> bool:
        """Makes a block, unless it is there, its cell is done, or another process makes it.

        Args:
            number: Which.
            make: Attacks its goals, and yields what is to be kept, in order.

        Returns:
            Whether it was made here.

        Raises:
            RunError: If it cannot be written.
        """
        file = self.files[number]
        if self.made(number):
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with held(file.with_suffix(".lease")) as mine:
            # Whoever had it may have written the whole cell by now, and cleared its blocks away.
            done = Store(self.folder.parent).has_cell(self.key)
            if not mine or done or self.made(number):
                return False
            _write(file, make(self.ranges[number]))
        return True

    @property
    def others(self) -> int:
        """How many blocks other processes make now."""
        return sum(is_leased(file.with_suffix(".lease")) for file in self.files)

    def read(self, number: int) -> Iterator[Arrays]:
        """Yields what is kept of a block, in order.

        Raises:
            RunError: If it cannot be read.
        """
        file = self.files[number]
        try:
            with np.load(file) as kept:
                for step in range(len({name.partition("/")[0] for name in kept.files})):
                    start = f"{step}/"
                    names = [name for name in kept.files if name.startswith(start)]
                    yield {name.removeprefix(start): kept[name] for name in names}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{file}: cannot be read: remove it, then go on with --resume"
            ) from error


def any_left(run: Path) -> bool:
    """Tells whether a run that was interrupted left blocks."""
    return any((run / FOLDER).glob("*.npz"))


def makers(run: Path, key: str) -> tuple[Holder, ...]:
    """Returns who makes blocks of a cell now.

    Args:
        run: The run's folder.
        key: The cell's.
    """
    leases = sorted((run / FOLDER).glob(f"{key}.*.lease"))
    return tuple(holder for lease in leases if (holder := holder_of(lease)))


def discard(run: Path, key: str) -> None:
    """Removes the blocks of a cell that is written.

    Args:
        run: The run's folder.
        key: The cell's.
    """
    for file in (run / FOLDER).glob(f"{key}.*.npz"):
        file.unlink(missing_ok=True)


def sweep(run: Path, wanted: Iterable[Path]) -> None:
    """Removes all but blocks that are wanted, and those that somebody makes at this moment.

    Args:
        run: The run's folder.
        wanted: The files of blocks that cells need.
    """
    kept = {*wanted}
    for file in (run / FOLDER).glob("*"):
        block = file.with_suffix(".npz")
        if file not in kept and not is_leased(block.with_suffix(".lease")):
            file.unlink(missing_ok=True)


def _write(file: Path, steps: Iterable[Arrays]) -> None:
    """Writes steps one after another, so that one alone is in memory; the file appears whole."""
    partial = file.with_suffix(".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with partial.open("wb") as content, zipfile.ZipFile(content, "w") as archive:
            for number, arrays in enumerate(steps):
                for name, array in arrays.items():
                    with archive.open(f"{number}/{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise refused(file, error) from error
    finally:
        partial.unlink(missing_ok=True)
