"""Posed head as a lit height field, and soft masks to paint on it.

A photo is drawn in the coordinates of the face: every pixel is traced back, through roll, zoom,
pitch and yaw, to the point of the head that it shows, so that whatever is painted there turns with
the head and shows parallax according to its depth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darkroom.demo.people.parameters import Colour, Head, Identity, Nose, Picture, Plane, Shots

_PIVOT = 0.22
_DOME = 0.58
_TRACE_STEPS = 3


class Stage(NamedTuple):
    """Coordinates and light of every pixel; planes are ``(n, rows, columns)``.

    Attributes:
        u: Column of the pixel with roll, shift and zoom undone, as if the head were flat.
        v: Row of the pixel, likewise.
        x: Where the pixel's ray meets the head, to the right of the face's middle.
        y: Where it meets the head, downwards.
        side: Absolute value of ``x``.
        outline: Signed distance to the head's outline, negative inside.
        dome: Depth of the smooth head, without nose and relief.
        pixel: Size of a pixel in the same units.
    """

    u: Plane
    v: Plane
    x: Plane
    y: Plane
    side: Plane
    outline: Plane
    dome: Plane
    pixel: float

    def crop(self, rows: slice, columns: slice) -> Stage:
        """Returns the part of the stage in a window of pixels."""
        u, v, x, y, side, outline, dome = (plane[:, rows, columns] for plane in self[:7])
        return Stage(u, v, x, y, side, outline, dome, self.pixel)


class Light(NamedTuple):
    """Light that reaches a surface: ``diffuse`` a channel, ``facing`` the cosine to the light."""

    diffuse: Picture
    facing: Plane
    gloss: Plane


def build_stage(identity: Identity, shots: Shots, size: int) -> Stage:
    """Traces the pixels of each photo back to the head.

    Args:
        identity: Whose head.
        shots: The photos' poses.
        size: Width and height of a photo in pixels.
    """
    ticks = ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    left = (ticks[None, None, :] - shots.shift_x) / shots.zoom
    down = (ticks[None, :, None] - shots.shift_y) / shots.zoom
    cos, sin = np.cos(shots.roll), np.sin(shots.roll)
    u, v = left * cos + down * sin, down * cos - left * sin
    x: Plane = u
    y: Plane = v
    for _ in range(_TRACE_STEPS):
        depth = _dome(identity.head, x, y) + nose_relief(identity.nose, x, y)
        x, y = unturn(shots, u, v, depth)
    outline, dome = head_outline(identity.head, x, y), _dome(identity.head, x, y)
    return Stage(u, v, x, y, np.abs(x), outline, dome, pixel=2.0 / size)


def unturn(shots: Shots, u: Plane, v: Plane, depth: Plane | float) -> tuple[Plane, Plane]:
    """Undoes pitch and yaw for points of known depth (0 at the ears' plane, towards the camera)."""
    lever = depth - _PIVOT
    y = v + lever * np.sin(shots.pitch)
    x = (u - lever * np.sin(shots.yaw)) / np.cos(shots.yaw)
    return x, y


def _dome(head: Head, x: Plane, y: Plane) -> Plane:
    tall = 0.5 * (head.chin - head.top) * 1.12
    middle = 0.5 * (head.chin + head.top)
    across, along = x * (1.0 / head.width), (y - middle) * (1.0 / tall)
    room = 1.0 - (across * across + along * along) * 0.78
    # Beyond the outline the depth levels off instead of ending, for hair and for tracing.
    depth: Plane = _DOME * np.sqrt(0.5 * (room + np.sqrt(room * room + 0.02)))
    return depth


def nose_relief(nose: Nose, x: Plane, y: Plane) -> Plane:
    """Height of the nose above the face."""
    along = np.clip((y - (nose.y - 0.30)) * (1.0 / 0.30), 0.0, 1.0)
    fall = np.clip((nose.y + 0.055 - y) * (1.0 / 0.075), 0.0, 1.0)
    width = nose.bridge + (0.72 * nose.width - nose.bridge) * along * along
    across = x / width
    profile = (0.22 + 0.78 * along) * along * fall * fall * (3.0 - 2.0 * fall)
    height: Plane = nose.relief * profile * np.exp(-across * across)
    return height


def head_outline(head: Head, x: Plane, y: Plane) -> Plane:
    """Signed distance to the outline of the head, about exact near the outline."""
    middle = -0.08
    below = y > middle
    to_chin, to_top = np.float32(1.0 / (head.chin - middle)), np.float32(1.0 / (middle - head.top))
    along = (y - middle) * np.where(below, to_chin, to_top)
    low = np.clip(along, 0.0, 1.3)
    across = x / (head.width * (1.0 - head.jaw * low * low))
    square = np.where(below, np.float32(head.square), np.float32(0.15))
    return (squircle(across, along, square) - 1.0) * (0.95 * head.width)


def squircle(across: Plane, along: Plane, square: Plane | float) -> Plane:
    """Radius on which a rounded box is 1: a circle where ``square`` is 0, a box towards 1."""
    across, along = across * across, along * along
    corner = np.minimum(across, 1.0) * np.minimum(along, 1.0)
    return np.sqrt(across + along - square * corner + 1e-6)


def illuminate(shots: Shots, height: Plane, stage: Stage, occlusion: Plane | float) -> Light:
    """Lights a height field with the photo's lamp and ambient light.

    Args:
        shots: The photos' light and pose.
        height: Depth towards the camera in the coordinates of the head.
        stage: Where each pixel lies.
        occlusion: Share of the light that arrives, 1 in the open.
    """
    turned = height * np.cos(shots.yaw) - stage.x * np.sin(shots.yaw)
    turned += stage.y * np.sin(shots.pitch)
    fall_y, fall_x = np.gradient(turned, stage.pixel, axis=(1, 2))
    norm = 1.0 / np.sqrt(fall_x * fall_x + fall_y * fall_y + 1.0)
    facing = (shots.light_z - fall_x * shots.light_x - fall_y * shots.light_y) * norm
    half_z = shots.light_z + 1.0
    half = 1.0 / np.sqrt(shots.light_x**2 + shots.light_y**2 + half_z**2)
    gloss = (half_z - fall_x * shots.light_x - fall_y * shots.light_y) * norm * half
    diffuse = np.empty((len(height), 3, *height.shape[1:]), dtype=np.float32)
    open_sky = shots.ambient * (0.75 + 0.25 * norm) * occlusion
    key = shots.key * occlusion
    # Red light travels further under skin, so shadows turn red at their edges.
    for channel, wrap in enumerate((0.30, 0.17, 0.12)):
        soft = np.maximum(facing + wrap, 0.0) * (1.0 / (1.0 + wrap))
        diffuse[:, channel] = key * soft + open_sky
    return Light(diffuse, facing, np.maximum(gloss, 0.0))


def inside(distance: Plane, softness: float) -> Plane:
    """Coverage of a pixel by a shape: 1 inside, 0 outside, smooth over ``softness``.

    Args:
        distance: Signed distance to the shape's outline, negative inside.
        softness: Width of the transition, in the units of the distance.
    """
    edge: Plane = np.clip(0.5 - distance * (1.0 / softness), 0.0, 1.0)
    return edge * edge * (3.0 - 2.0 * edge)


def bump(across: Plane, along: Plane) -> Plane:
    """Bell curve of two coordinates that are given in widths."""
    return np.exp(-across * across - along * along)


def column(colour: Colour) -> Picture:
    """Colour as an array that broadcasts over the pixels of ``(n, 3, rows, columns)``."""
    return np.array(colour, dtype=np.float32)[:, None, None]


def paint(image: Picture, colour: Colour | Picture, mask: Plane) -> None:
    """Covers an image with a colour, in place.

    Args:
        image: ``(n, 3, rows, columns)``.
        colour: One colour, or an array that broadcasts to the image.
        mask: Opacity, ``(n, rows, columns)``.
    """
    if isinstance(colour, tuple):
        for channel, value in enumerate(colour):
            image[:, channel] += (value - image[:, channel]) * mask
    else:
        image += (colour - image) * mask[:, None]
