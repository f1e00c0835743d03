"""What makes a rendered face this person's face, and what makes a photo this photo.

Lengths are in half image widths: the frame spans -1 to 1, x to the right and y down. Colours are
linear light (not gamma-coded), each channel in [0, 1]. Angles are in radians.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# Drawing is in float32; NumPy's stubs lose track of that in mixed arithmetic.
Plane: TypeAlias = NDArray[np.floating]
Picture: TypeAlias = NDArray[np.floating]
Colour: TypeAlias = tuple[float, float, float]


class Head(NamedTuple):
    """Outline of the head and its relief."""

    width: float
    top: float
    chin: float
    jaw: float
    square: float
    cheek: float
    brow_ridge: float
    ear: float


class Skin(NamedTuple):
    """Skin colour and what is on it; strengths in [0, 1]."""

    colour: Colour
    blush: float
    freckles: float
    age: float
    mole: float
    mole_x: float
    mole_y: float


class Hair(NamedTuple):
    """Hair on the head; ``cover`` is its opacity, ``length`` the y where it ends."""

    cover: float
    top: float
    side: float
    length: float
    flare: float
    hairline: float
    opening: float
    square: float
    part_x: float
    part_drop: float
    temple: float
    sideburn: float
    curl: float
    fringe: float
    phase: float
    colour: Colour

    @property
    def is_long(self) -> bool:
        """Tells whether it covers the ears and hangs down beside the face."""
        return self.length > 0.3

    @property
    def is_curly(self) -> bool:
        """Tells whether it stands in curls instead of lying in strands."""
        return self.curl > 0.9


class Brows(NamedTuple):
    """Eyebrows; ``gap`` is their height above the eyes."""

    gap: float
    thickness: float
    angle: float
    arch: float
    reach: float
    colour: Colour


class Eyes(NamedTuple):
    """Eyes; ``spacing`` is the distance of each from the middle, ``size`` half an eye's width."""

    spacing: float
    size: float
    y: float
    opening: float
    tilt: float
    lash: float
    socket: float
    iris: Colour


class Nose(NamedTuple):
    """Nose; ``y`` is the height of its tip, ``relief`` how far it stands out."""

    width: float
    y: float
    relief: float
    bridge: float


class Mouth(NamedTuple):
    """Mouth; ``upper`` and ``lower`` are the thicknesses of the lips."""

    y: float
    width: float
    upper: float
    lower: float
    bow: float
    colour: Colour


class Beard(NamedTuple):
    """Opacity of each part of a beard, in [0, 1]; ``length`` is how far it leaves the chin."""

    cheeks: float
    moustache: float
    goatee: float
    length: float
    colour: Colour


class Glasses(NamedTuple):
    """Spectacles; ``opacity`` 0 means none, ``square`` runs from round to rectangular."""

    opacity: float
    radius: float
    aspect: float
    square: float
    rim: float
    colour: Colour


class Identity(NamedTuple):
    """Everything about a person that is the same in all of their photos.

    ``masculine``, from 0 to 1, is what head, hair, eyes, mouth and beard were drawn by.
    """

    head: Head
    skin: Skin
    hair: Hair
    brows: Brows
    eyes: Eyes
    nose: Nose
    mouth: Mouth
    beard: Beard
    glasses: Glasses
    masculine: float


class Shots(NamedTuple):
    """What differs between the ``n`` photos of a person; planes are of shape ``(n, 1, 1)``.

    Colours are of shape ``(n, 3, 1, 1)``.
    """

    yaw: Plane
    pitch: Plane
    roll: Plane
    shift_x: Plane
    shift_y: Plane
    zoom: Plane
    light_x: Plane
    light_y: Plane
    light_z: Plane
    key: Plane
    ambient: Plane
    smile: Plane
    gape: Plane
    brow_raise: Plane
    lid: Plane
    gaze_x: Plane
    gaze_y: Plane
    blur: Plane
    noise: Plane
    slope: Plane
    tint: Picture
    backdrop: Picture
    clothes: Picture


def draw_shots(streams: list[Generator]) -> Shots:
    """Draws one photo from each stream.

    Args:
        streams: One generator a photo, each that photo's own.
    """
    rows = [_draw_shot(rng) for rng in streams]
    numbers = np.array([row[0] for row in rows], dtype=np.float32)
    colours = np.array([row[1] for row in rows], dtype=np.float32)
    planes = [column.reshape(-1, 1, 1) for column in numbers.T]
    triples = [colours[:, i, :, None, None] for i in range(colours.shape[1])]
    return Shots(*planes, *triples)


def uniform(rng: Generator, low: float, high: float) -> float:
    """Draws a number between two others."""
    return float(rng.uniform(low, high))


def scale(colour: Colour, red: float, green: float, blue: float) -> Colour:
    """Multiplies each channel, with 1 as the most."""
    return (min(colour[0] * red, 1.0), min(colour[1] * green, 1.0), min(colour[2] * blue, 1.0))


def _draw_shot(rng: Generator) -> tuple[tuple[float, ...], tuple[Colour, ...]]:
    """Draws the numbers and the colours of one photo, in the order of the fields of ``Shots``."""
    light = _draw_light(rng)
    warmth = float(rng.normal(0.0, 0.05))
    grey = uniform(rng, 0.30, 0.55)
    cloth = uniform(rng, 0.02, 0.22)
    pose = (
        float(np.clip(rng.normal(0.0, 0.14), -0.26, 0.26)),
        float(np.clip(rng.normal(0.0, 0.07), -0.14, 0.14)),
        float(np.clip(rng.normal(0.0, 0.045), -0.10, 0.10)),
        uniform(rng, -0.03, 0.03),
        uniform(rng, 0.00, 0.06),
        uniform(rng, 1.04, 1.12),
    )
    smiling = float(rng.random() < 0.6)
    expression = (
        smiling * uniform(rng, 0.2, 1.0) + uniform(rng, -0.08, 0.12),
        float(rng.random() < 0.35) * uniform(rng, 0.1, 0.8),
        float(rng.normal(0.0, 0.012)),
        uniform(rng, 0.2, 0.6) if rng.random() < 0.05 else uniform(rng, 0.8, 1.12),
        float(rng.normal(0.0, 0.014)),
        float(rng.normal(0.0, 0.007)),
    )
    sensor = (uniform(rng, 0.0, 0.6), uniform(rng, 0.003, 0.010), uniform(rng, -0.15, 0.15))
    tint = (1.0 + warmth, 1.0, 1.0 - warmth)
    backdrop = scale((grey, grey, grey), *(float(rng.normal(1.0, 0.035)) for _ in range(3)))
    clothes = scale((cloth, cloth, cloth), *(uniform(rng, 0.7, 1.2) for _ in range(3)))
    return (*pose, *light, *expression, *sensor), (tint, backdrop, clothes)


def _draw_light(rng: Generator) -> tuple[float, ...]:
    """Draws the direction, strength and ambient share of the light."""
    side = float(np.clip(rng.normal(0.0, 0.5), -0.9, 0.9))
    up = uniform(rng, 0.15, 0.65)
    front = float(np.sqrt(max(1.0 - side**2 * 0.8 - up**2 * 0.8, 0.2)))
    size = float(np.sqrt(side**2 + up**2 + front**2))
    contrast = uniform(rng, 0.0, 1.0)
    exposure = uniform(rng, 0.98, 1.18)
    return (
        side / size,
        -up / size,
        front / size,
        exposure * (0.50 + 0.65 * contrast),
        exposure * (0.64 - 0.42 * contrast),
    )
