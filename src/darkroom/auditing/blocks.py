"""Blocks of a large cell: people attacked apart, by any process, and kept until it is written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import RunError
from darkroom.files import leased, refused, sync_folder

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

    def make(self, number: int, make: Callable[[range], Iterable[Arrays]], *, wait: bool) -> bool:
        """Makes a block, unless it is there or another process makes it.

        Args:
            number: Which.
            make: Attacks its goals, and yields what is to be kept, in order.
            wait: Whether to wait for another process, and to make it where that failed.

        Returns:
            Whether it was made here.

        Raises:
            RunError: If it cannot be written.
        """
        file = self.files[number]
        if file.exists():
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with leased(file.with_suffix(".lease"), wait=wait) as mine:
            if mine is None or file.exists():
                return False
            _write(file, make(self.ranges[number]))
        return True

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
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{file}: cannot be read: remove it, then go on with --resume"
            ) from error


def clear(run: Path, keep: Iterable[str] = ()) -> None:
    """Removes blocks of cells that are written or not wanted any more.

    Args:
        run: The run's folder.
        keep: The keys of cells whose blocks stay.
    """
    kept = {*keep}
    for file in (run / FOLDER).glob("*.npz"):
        if file.name.partition(".")[0] not in kept:
            file.unlink(missing_ok=True)


def _write(file: Path, steps: Iterable[Arrays]) -> None:
    """Writes steps one after another, so that one alone is in memory; the file appears whole."""
    partial = file.with_suffix(".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with zipfile.ZipFile(partial, "w", allowZip64=True) as archive:
            for number, arrays in enumerate(steps):
                for name, array in arrays.items():
                    with archive.open(f"{number}/{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
        partial.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise refused(file, error) from error
    finally:
        partial.unlink(missing_ok=True)
