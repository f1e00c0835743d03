"""Photos of people, from a folder with one folder a person or from an ``.npz`` file."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.plan import parse_slice
from darkroom.errors import DataError, MissingExtraError
from darkroom.files import is_special
from darkroom.vision.reading.folders import Place, find
from darkroom.vision.reading.pictures import Reader, Resize
from darkroom.vision.spec import ImageSpec

OLIVETTI = "olivetti"

_MOST_CLASSES = 10**6


class Form(NamedTuple):
    """What is to be known of photos in files beside the target's shape.

    Attributes:
        resize: How a photo of another size is made to fit.
        black_white: The values of black and white in files of more than 8 bits.
        classes: The names of the model's classes in order.
    """

    resize: Resize = False
    black_white: tuple[float, float] | None = None
    classes: tuple[str, ...] | None = None


_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, OSError, EOFError, MemoryError),
)
"""What reading an archive raises where it is none, or damaged."""


class Photos(NamedTuple):
    """Photos of known people, in the order of people, then of photos.

    Attributes:
        images: Float32 ``(n, channels, height, width)`` in the target's range.
        people: Who is on each photo, int64 ``(n,)``; the target's class of that person.
        numbers: The place of each photo among those of its person, int64 ``(n,)``.
        names: The name of each person, by class.
        files: Where each photo of a folder is in it, ``(n,)``; nothing for arrays.
        seen: Which photos lie in a folder of training photos, bool ``(n,)``; ``None`` where
            folders do not say.
        left_out: How many files of the folder are no photos.
    """

    images: NDArray[np.float32]
    people: NDArray[np.int64]
    numbers: NDArray[np.int64]
    names: tuple[str, ...]
    files: tuple[str, ...] = ()
    seen: NDArray[np.bool_] | None = None
    left_out: int = 0

    @classmethod
    def of(
        cls,
        images: NDArray[np.float32],
        people: NDArray[np.int64],
        names: tuple[str, ...] | None = None,
    ) -> Photos:
        """Sorts photos by person and numbers them in the order given.

        Args:
            images: ``(n, channels, height, width)``.
            people: The class of the person on each, ``(n,)``.
            names: One a class; ``person-0`` and so on when left out.

        Raises:
            DataError: If the two have different lengths, or a class has no name.
        """
        people = np.asarray(people, dtype=np.int64)
        if len(images) != len(people):
            raise DataError(f"{len(images)} images but {len(people)} labels: give one label each")
        highest = int(people.max(initial=-1)) + 1
        if names is None and highest > _MOST_CLASSES:
            raise DataError(
                f"a label is {highest - 1}, more than a model has classes: number people by the "
                "model's classes, from 0, or give classes, the names in the model's order"
            )
        if names is None:
            names = tuple(f"person-{person}" for person in range(highest))
        if len(names) < highest or people.min(initial=0) < 0:
            raise DataError(f"labels must be 0 to {len(names) - 1}, one for each of the names")
        order = np.argsort(people, kind="stable")
        people = people[order]
        starts = np.searchsorted(people, people)
        return cls(images[order], people, np.arange(len(people)) - starts, names)

    def select(self, rows: NDArray[np.bool_]) -> Photos:
        """Keeps the photos chosen, with their classes and numbers."""
        return self._replace(
            images=self.images[rows],
            people=self.people[rows],
            numbers=self.numbers[rows],
            files=tuple(np.array(self.files)[rows].tolist()) if self.files else (),
            seen=None if self.seen is None else self.seen[rows],
        )

    def numbered(self, chosen: slice) -> NDArray[np.bool_]:
        """Tells which photos have a number that a slice selects, bool ``(n,)``."""
        numbers = np.arange(int(self.numbers.max(initial=0)) + 1)
        return np.isin(self.numbers, numbers[chosen])

    def digest(self) -> str:
        """Returns a hash of all pixels and labels, as hexadecimal digits."""
        digest = hashlib.sha256(repr((self.images.shape, self.names)).encode())
        for array in (self.images, self.people, self.numbers):
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()


def evenly(photos: Photos, most: int) -> NDArray[np.bool_]:
    """Chooses some photos: the first of everybody, then the second of everybody, and so on.

    Args:
        photos: Of whom; sorted by people.
        most: How many to choose.

    Returns:
        Which they are, ``(photos,)``.
    """
    starts = np.searchsorted(photos.people, photos.people)
    turn = np.arange(len(photos.people)) - starts
    chosen = np.zeros(len(turn), np.bool_)
    chosen[np.argsort(turn, kind="stable")[:most]] = True
    return chosen


def spread(photos: Photos, most: int) -> Photos:
    """Keeps the photos that :func:`evenly` chooses."""
    return photos.select(evenly(photos, most))


def load_photos(
    path: Path,
    spec: ImageSpec,
    *,
    people: slice | None = None,
    resize: Resize = False,
    black_white: tuple[float, float] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Photos:
    """Reads photos for a target.

    A folder holds one folder a person, perhaps below ``train`` and ``val``; people are numbered in
    the alphabetical order of their folders' names unless ``classes`` has another, and photos in
    that of their files'. What is no photo is left out and counted.

    An ``.npz`` file holds ``images``, either
    ``(people, photos, [channels,] rows, columns)``, or ``(n, [channels,] rows, columns)`` with
    ``people`` ``(n,)``; ``names`` may be given. Bytes are scaled to the target's range, and so is
    what ``black_white`` is given for; floats must lie in it.

    What is not there is looked for by its name in the folder of the environment variable
    ``DARKROOM_DATA``, and the name ``olivetti`` stands for :func:`load_olivetti`.

    Args:
        path: The folder or file.
        spec: The images that the target takes.
        people: Which of the people to keep; they keep their numbers.
        resize: How photos of another size are made to fit; squashed when ``True``.
        black_white: The values of black and white in arrays, and in files of more than 8 bits.
        classes: The names of the model's classes in order; folders, or labels, are named so.

    Raises:
        DataError: If there is nothing there, a file is no image, or shapes or values do not fit.
    """
    path = located(path)
    form = Form(resize, black_white, classes)
    if path.name == OLIVETTI and not path.exists():
        photos = load_olivetti(spec)
    elif not path.exists():
        raise DataError(f"{path}: no such file or folder: check the plan's images")
    elif path.is_dir():
        photos = _load_folder(path, spec, form)
    elif path.suffix == ".npz":
        photos = _load_npz(path, spec, form)
    else:
        raise DataError(f"{path}: neither a folder of people nor an .npz file")
    spec.check(photos.images, str(path))
    if people is not None:
        kept = np.arange(len(photos.names))[people]
        photos = photos.select(np.isin(photos.people, kept))
        if not len(photos.people):
            raise DataError(f"{path}: people {people.start}:{people.stop} selects nobody")
    return photos


def trained_rows(photos: Photos, told: str | Sequence[str]) -> NDArray[np.bool_]:
    """Tells which photos a model was trained on, bool ``(n,)``.

    Args:
        photos: The photos.
        told: A slice of each person's photos, such as ``"0:7"``, where ``":"`` is all, or those
            below ``train`` where there is such a folder; files of the folder; or a file that lists
            those, one a line.

    Raises:
        DataError: If the list cannot be read or names a file that is no photo of the folder.
    """
    if isinstance(told, str) and ":" in told:
        if told == ":" and photos.seen is not None:
            return photos.seen
        return photos.numbered(parse_slice(told))
    if isinstance(told, str):
        try:
            told = Path(told).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{told}: no readable list of photos: one file a line") from error
    listed = {line.strip().replace("\\", "/").removeprefix("./") for line in told}
    missing = sorted(listed - {""} - set(photos.files))
    if missing:
        raise DataError(
            f"trained_on: {missing[0]} is no photo of [private] images: give paths in that folder"
        )
    return np.isin(photos.files, list(listed))


def located(path: Path) -> Path:
    """Looks for a file that is not there in the folder that ``DARKROOM_DATA`` names."""
    elsewhere = os.environ.get("DARKROOM_DATA")
    if not path.exists() and elsewhere and (Path(elsewhere) / path.name).exists():
        return Path(elsewhere) / path.name
    return path


def _load_folder(path: Path, spec: ImageSpec, form: Form) -> Photos:
    found = find(path, form.classes)
    reader = Reader(spec.shape[0], spec.shape[1:], form.resize, form.black_white)
    images: list[NDArray[np.float32]] = []
    kept: list[Place] = []
    for place in found.places:
        pixels = reader.read(place.file)
        if pixels is not None:
            images.append(_scale(pixels, spec))
            kept.append(place)
    if not kept:
        raise DataError(f"{path}: no photo in it: put each person's photos into one folder")
    reader.require_known_depth()
    people = np.array([place.person for place in kept])
    photos = Photos.of(np.stack(images), people, found.names)
    order = np.argsort(people, kind="stable")
    files = tuple(kept[at].file.relative_to(path).as_posix() for at in order)
    told = [kept[at].seen for at in order]
    seen = np.array([bool(one) for one in told]) if None not in told else None
    return photos._replace(
        files=files, seen=seen, left_out=found.litter + len(found.places) - len(kept)
    )


def _load_npz(path: Path, spec: ImageSpec, form: Form) -> Photos:
    arrays = _read_arrays(path)
    if "images" not in arrays:
        raise DataError(f"{path}: no array called images, only {', '.join(arrays) or 'nothing'}")
    images, people = arrays["images"], arrays.get("people")
    if images.dtype.kind not in "uif":
        raise DataError(f"{path}: images must be numbers, not {images.dtype}")
    if people is not None and form.classes is not None:
        people = _placed(people, form.classes, path)
    if people is not None and people.dtype.kind not in "ui":
        raise DataError(f"{path}: people must be whole numbers, not {people.dtype}")
    if people is None:
        if images.ndim not in (4, 5) or 0 in images.shape:
            raise DataError(
                f"{path}: images of shape {list(images.shape)}: give "
                "(people, photos, [channels,] rows, columns), or people beside them"
            )
        people = np.repeat(np.arange(images.shape[0]), images.shape[1])
        images = images.reshape(-1, *images.shape[2:])
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or people.ndim != 1 or not len(people):
        raise DataError(
            f"{path}: images of shape {list(images.shape)} with people of shape "
            f"{list(people.shape)}: give (n, [channels,] rows, columns) with (n,)"
        )
    if form.resize and images.shape[2:] != spec.shape[1:]:
        raise DataError(f"{path}: resize works on folders: save the array at the target's size")
    names = tuple(map(str, arrays["names"].ravel())) if "names" in arrays else form.classes
    if form.black_white is not None:
        black, white = form.black_white
        shares = ((images.astype(np.float32) - black) / (white - black)).clip(0, 1)
        images = shares * np.float32(spec.width_of_range) + np.float32(spec.low)
    elif images.dtype == np.uint8:
        images = _scale(images, spec)
    try:
        return Photos.of(images.astype(np.float32), people.astype(np.int64), names)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _placed(people: NDArray[Any], classes: tuple[str, ...], path: Path) -> NDArray[np.int64]:
    """Returns the class of each person by the name, or the number, that stands for it."""
    numbers = {name: number for number, name in enumerate(classes)}
    found = [str(one) for one in people.ravel()]
    for name in found:
        if name not in numbers:
            raise DataError(f"{path}: people: no class is called {name!r}: mend classes")
    return np.array([numbers[name] for name in found], np.int64)


def _require_room(path: Path) -> None:
    """Refuses an archive that unpacks to more than a machine holds.

    Raises:
        DataError: If it does.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(one.file_size for one in archive.infolist())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory // 2:
        raise DataError(
            f"{path}: unpacks to {size / 2**30:.0f} GB, more than half of this machine's memory: "
            "give fewer or smaller photos"
        )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Reads an archive of arrays, never unpickling.

    Raises:
        DataError: If the file is something else, or damaged.
    """
    try:
        if is_special(path) or not zipfile.is_zipfile(path):
            raise ValueError("no archive")
        _require_room(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("an archive of something else")
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: not a readable .npz without pickles: save it with numpy.savez"
        ) from error
    return arrays


def _scale(pixels: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """Turns bytes into the target's range."""
    scaled = pixels.astype(np.float32) * np.float32(spec.width_of_range / 255) + spec.low
    return scaled.astype(np.float32)


def load_olivetti(spec: ImageSpec) -> Photos:
    """Downloads scikit-learn's Olivetti faces (40 people, 10 photos, 64 x 64) and returns them.

    They are the AT&T faces at another size; credit AT&T Laboratories Cambridge.

    Raises:
        DataError: If the target takes other images, or the download fails.
    """
    try:
        from sklearn.datasets import fetch_olivetti_faces
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "vision") from error
    try:
        faces = fetch_olivetti_faces()
    except OSError as error:
        raise DataError(
            f"olivetti: the download failed ({error}): try again when online"
        ) from error
    images = faces.images[:, None].astype(np.float32) * spec.width_of_range + spec.low
    spec.check(images, "olivetti")
    return Photos.of(images.astype(np.float32), faces.target.astype(np.int64))
