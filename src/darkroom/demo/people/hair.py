"""Hair, beard and brows: everything that is made of strands."""

from __future__ import annotations

import numpy as np

from darkroom.demo.people.height_field import (
    Stage,
    bump,
    column,
    illuminate,
    inside,
    paint,
    squircle,
    unturn,
)
from darkroom.demo.people.parameters import (
    Beard,
    Brows,
    Eyes,
    Hair,
    Head,
    Identity,
    Picture,
    Plane,
    Shots,
)


def paint_back_hair(image: Picture, stage: Stage, shots: Shots, identity: Identity) -> None:
    """Paints the hair that hangs behind neck and ears."""
    hair = identity.hair
    if not hair.is_long:
        return
    x, y = unturn(shots, stage.u, stage.v, -0.05)
    side = np.abs(x)
    distance = _outer(hair, identity.head, x, y)
    strands = _strands(hair, x, y)
    depth = np.clip(side * (1.0 / (identity.head.width + hair.side)), 0.0, 1.0)
    tone = (0.22 + 0.35 * depth * depth) * strands * shots.key
    colour = tone[:, None] * column(hair.colour)
    paint(image, colour, inside(distance, 1.6 * stage.pixel) * hair.cover)


def paint_front_hair(image: Picture, stage: Stage, shots: Shots, identity: Identity) -> None:
    """Paints the hair over forehead, temples and, where it is long, the cheeks."""
    hair, head = identity.hair, identity.head
    if hair.cover == 0.0:
        return
    strands = _strands(hair, stage.x, stage.y)
    ragged = (strands - 0.9) * (0.03 + 0.05 * hair.fringe + 0.05 * hair.curl)
    outer = _outer(hair, head, stage.x, stage.y) - ragged * (0.3 + 0.7 * hair.curl)
    opening = _opening(hair, head, stage) + ragged * (0.4 if hair.is_long else 1.0)
    softness = stage.pixel * (1.6 if hair.is_long else 2.4)
    mask = inside(outer, 1.6 * stage.pixel) * inside(-opening, softness)
    mask *= inside(stage.y - (hair.length if hair.is_long else hair.sideburn), 0.12)
    if hair.part_x != 0.0 and hair.part_drop > 0.0:
        scalp = bump((stage.x - hair.part_x) * 40.0, (stage.y - hair.hairline) * 4.5)
        mask *= 1.0 - 0.45 * scalp * inside(stage.outline + 0.06, 0.08)
    light = illuminate(shots, stage.dome + 0.035 * (strands - 0.9), stage, 1.0)
    rim = inside(outer + 0.06, 0.14) * (0.62 + 0.38 * inside(-opening + 0.07, 0.16))
    ring = bump((outer + 0.13 + 0.10 * (strands - 0.9)) * 15.0, np.maximum(stage.y, -0.3) + 0.3)
    sheen = ring * np.clip(light.facing + 0.15, 0.0, 1.0) * strands * shots.key
    tone = light.diffuse * (strands * (0.30 + 0.75 * rim))[:, None]
    colour = tone * column(hair.colour)
    shiny = 0.035 + 0.30 * column(hair.colour)
    colour += sheen[:, None] * shiny * (1.0 - 0.7 * hair.curl)
    paint(image, colour, mask * hair.cover)


def _outer(hair: Hair, head: Head, x: Plane, y: Plane) -> Plane:
    """Signed distance to the silhouette of the hair."""
    middle = -0.12
    wide, tall = head.width + hair.side, middle - (head.top - hair.top)
    above = np.minimum(y - middle, 0.0) * (1.0 / tall)
    below = np.maximum(y - middle, 0.0)
    reach = wide + hair.flare * below
    if hair.is_long:
        tip = 1.0 - np.clip((hair.length - y) * (1.0 / 0.35), 0.0, 1.0)
        reach = reach - 0.10 * tip * tip
    if hair.is_curly:
        reach = reach - 0.25 * below * below
    lean = x + min(4.0 * hair.top, 0.45) * hair.part_x * above * above
    crown = (squircle(lean / reach, above, 0.2) - 1.0) * wide
    end = (y - hair.length) * 0.8
    # A smooth maximum rounds the corners at the ends of the locks.
    distance: Plane = 0.5 * (crown + end + np.sqrt((crown - end) ** 2 + 0.008))
    return distance


def _opening(hair: Hair, head: Head, stage: Stage) -> Plane:
    """Signed distance to the part of the face that hair leaves free, negative inside."""
    middle = 0.22
    away = (stage.x - hair.part_x) * (1.0 / head.width)
    drop = hair.part_drop if hair.part_x != 0.0 or hair.is_long else 0.0
    temple = (stage.side - 0.62 * head.width) * 5.5
    line = hair.hairline + 0.55 * drop * away * away - hair.temple * np.exp(-temple * temple)
    along = np.minimum(stage.y - middle, 0.0) / (middle - line)
    across = stage.x * (1.0 / (hair.opening * head.width))
    return (squircle(across, along, hair.square) - 1.0) * head.width


def _strands(hair: Hair, x: Plane, y: Plane) -> Plane:
    """Brightness of the hair's strands, about 0.6 to 1.2."""
    phase = hair.phase
    fan = np.arctan2(x - hair.part_x * 0.8, y + 1.25) * 1.15
    bend = 0.05 * np.sin(7.0 * y + phase) + 0.03 * np.sin(11.0 * y + 2.0 * x + 2 * phase)
    flow = fan + bend * (0.3 + 1.6 * hair.curl)
    tone = np.sin(31.0 * flow + phase) + 0.8 * np.sin(53.0 * flow + 1.7 * phase + 1.5 * y)
    tone += 0.6 * np.sin(17.0 * flow - phase)
    if hair.is_curly:
        curls = np.sin(19.0 * x + 3.0 * np.sin(9.0 * y + phase)) * np.sin(
            21.0 * y + 2.5 * np.sin(11.0 * x - phase)
        )
        tone = 0.3 * tone + 1.3 * curls
    brightness: Plane = 0.9 + 0.12 * tone
    return brightness


def paint_brows(albedo: Picture, stage: Stage, shots: Shots, brows: Brows, eyes: Eyes) -> None:
    """Paints the eyebrows on the skin."""
    along = (stage.side - eyes.spacing - 0.012) * (1.0 / brows.reach)
    lift = brows.gap + shots.brow_raise + brows.arch * (1.0 - along * along)
    lift = lift + brows.angle * brows.reach * along
    offset = stage.y - (eyes.y - lift)
    ends = np.maximum(1.0 - along**4, 0.0)
    thick = brows.thickness * (0.95 - 0.4 * along) * (0.25 + 0.75 * ends)
    distance = np.maximum(np.abs(offset) - thick, (np.abs(along) - 1.0) * brows.reach)
    hairs = 0.82 + 0.14 * np.sin(70.0 * stage.side - 45.0 * offset)
    paint(albedo, brows.colour, inside(distance, 1.7 * stage.pixel) * hairs * 0.92)


def paint_beard(
    image: Picture, stage: Stage, shots: Shots, identity: Identity, lips: Plane
) -> None:
    """Paints the beard on the lit face; long ones leave the outline of the chin.

    Args:
        image: ``(n, 3, rows, columns)``, changed in place.
        stage: Where each pixel lies.
        shots: The photos' light.
        identity: Whose beard.
        lips: Opacity of lips and mouth, which stay free.
    """
    beard = identity.beard
    if beard.cheeks + beard.moustache + beard.goatee == 0.0:
        return
    mask = _beard_mask(beard, identity, stage, shots) * (1.0 - lips)
    grain = np.sin(83.0 * stage.x + 2.0 * np.sin(23.0 * stage.y)) * np.sin(
        37.0 * stage.y + 2.5 * np.sin(29.0 * stage.x)
    )
    light = illuminate(shots, stage.dome + 0.012 * grain, stage, 1.0)
    tone = light.diffuse * (0.72 + 0.22 * grain)[:, None]
    colour = tone * column(beard.colour)
    paint(image, colour, np.clip(mask * (1.0 + 0.12 * grain), 0.0, 1.0))


def _beard_mask(beard: Beard, identity: Identity, stage: Stage, shots: Shots) -> Plane:
    head, mouth, nose = identity.head, identity.mouth, identity.nose
    drop = 0.05 * shots.gape
    below = np.clip((stage.y - mouth.y) * (1.0 / (head.chin - mouth.y)), 0.0, 1.0)
    jaw = stage.outline - beard.length * below
    # The edge runs from the sideburns down along the cheeks to below the corners of the mouth.
    reach = stage.side * (1.0 / head.width)
    edge = mouth.y + 0.06 - 0.5 * np.clip(reach - 0.42, 0.0, 1.0)
    cheeks = inside(jaw, 2.0 * stage.pixel) * inside(edge - stage.y, 0.10)
    cheeks *= inside(0.02 - stage.y, 0.14)
    middle = 0.5 * (nose.y + 0.06 + mouth.y - mouth.upper)
    tall = max(mouth.y - mouth.upper - nose.y - 0.05, 0.05)
    curve = middle + 0.22 * stage.side * stage.side / mouth.width
    lip = np.maximum(np.abs(stage.y - curve) - 0.52 * tall, stage.side - mouth.width - 0.02)
    moustache = inside(lip, 2.2 * stage.pixel)
    ring = bump(stage.x * (1.0 / 0.20), (stage.y - head.chin + 0.03 - drop) * (1.0 / 0.2)) * 2.2
    ring = np.minimum(ring, 1.0) * inside(jaw, 2.0 * stage.pixel)
    strap = inside(np.abs(stage.side - mouth.width - 0.015) - 0.03, 2.0 * stage.pixel)
    strap *= inside(curve - stage.y, 0.06) * inside(jaw, 2.0 * stage.pixel)
    chin = np.maximum(ring * inside(mouth.y + 0.08 - stage.y, 0.08), strap)
    grown = np.maximum(cheeks * beard.cheeks, moustache * beard.moustache)
    mask: Plane = np.maximum(grown, chin * beard.goatee)
    return mask
