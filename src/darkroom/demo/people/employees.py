"""Rendered portraits of people who do not exist, to stand in for a company's staff photos.

A person is a draw of shape, colour and hair; a photo is a draw of pose, light, expression and
camera. Every person and every photo has a random stream of its own, so asking for more of either
leaves those already seen as they were, and employees, strangers and bystanders share no stream.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray
from PIL import Image

from darkroom.demo.people.drawing import draw_photos
from darkroom.demo.people.parameters import draw_shots
from darkroom.demo.people.sampling import draw_identity
from darkroom.errors import DataError

Role = Literal["employees", "strangers", "bystanders"]
ROLES: tuple[Role, ...] = get_args(Role)

_BATCH = 10
_SMALLEST = 16


class Faces(NamedTuple):
    """Photos of people.

    Attributes:
        images: ``(people, photos, 3, size, size)``, RGB in [0, 1].
        names: One a person, such as ``employee-0007``.
    """

    images: NDArray[np.float32]
    names: tuple[str, ...]


def render_faces(
    people: int,
    photos: int,
    *,
    role: Role = "employees",
    seed: int = 0,
    size: int = 64,
    on_progress: Callable[[int], None] | None = None,
) -> Faces:
    """Renders portraits, the same for the same arguments.

    Args:
        people: How many people, at least 1.
        photos: How many photos of each, at least 1.
        role: Which of three populations that have nobody in common.
        seed: Non-negative; another seed gives other people.
        size: Width and height in pixels, at least 16.
        on_progress: Called with the number of photos finished since its last call.

    Returns:
        Images of shape ``(people, photos, 3, size, size)``, RGB in [0, 1], and the names.

    Raises:
        DataError: If a number is too small or the role is unknown.
    """
    _check(people, photos, role, seed, size)
    images = np.empty((people, photos, 3, size, size), dtype=np.float32)
    for person in range(people):
        identity = draw_identity(_stream(seed, role, person))
        for start in range(0, photos, _BATCH):
            batch = range(start, min(start + _BATCH, photos))
            streams = [_stream(seed, role, person, photo) for photo in batch]
            shots = draw_shots(streams)
            images[person, batch.start : batch.stop] = draw_photos(identity, shots, size, streams)
            if on_progress is not None:
                on_progress(len(batch))
    return Faces(images, tuple(f"{role[:-1]}-{person:04d}" for person in range(people)))


def attributes_of(people: int, *, role: Role = "employees", seed: int = 0) -> dict[str, list[str]]:
    """Returns attributes of the people whom :func:`render_faces` draws, by number.

    Args:
        people: How many, at least 1.
        role: Which population.
        seed: As there.

    Returns:
        ``sex`` (by which head, hair and beard were drawn), ``glasses`` and ``beard``, in words.
    """
    drawn = [draw_identity(_stream(seed, role, person)) for person in range(people)]
    beards = [one.beard.cheeks + one.beard.moustache + one.beard.goatee for one in drawn]
    return {
        "sex": ["m" if one.masculine > 0.5 else "f" for one in drawn],
        "glasses": ["yes" if one.glasses.opacity > 0 else "no" for one in drawn],
        "beard": ["yes" if much > 0 else "no" for much in beards],
    }


def save_folder(faces: Faces, folder: Path) -> None:
    """Writes one folder a person with ``00.png``, ``01.png``, ..., readable by the owner alone.

    Args:
        faces: What to write.
        folder: Where; made if missing, and photos of the same name are replaced.
    """
    for name, photos in zip(faces.names, faces.images, strict=True):
        home = folder / name
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for index, photo in enumerate(photos):
            pixels = np.rint(photo.transpose(1, 2, 0) * 255.0).astype(np.uint8)
            path = home / f"{index:02d}.png"
            path.touch(mode=0o600)
            path.chmod(0o600)
            Image.fromarray(pixels).save(path, compress_level=1)  # half the time, a tenth larger


def _stream(seed: int, role: str, *path: int) -> Generator:
    """Random numbers of a person (one index) or of one of their photos (two)."""
    branch = ROLES.index(role)
    return default_rng(SeedSequence(seed, spawn_key=(branch, *path)))


def _check(people: int, photos: int, role: str, seed: int, size: int) -> None:
    if role not in ROLES:
        raise DataError(f"role is {role!r}: use one of {', '.join(ROLES)}")
    least = {"people": (people, 1), "photos": (photos, 1), "size": (size, _SMALLEST)}
    for name, (value, limit) in {**least, "seed": (seed, 0)}.items():
        if value < limit:
            raise DataError(f"{name} is {value}: use {limit} or more")
