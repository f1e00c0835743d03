"""Draws photos of one person: skin, eyes, nose, mouth, ears, neck, glasses and the camera."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from darkroom.demo.people.hair import paint_back_hair, paint_beard, paint_brows, paint_front_hair
from darkroom.demo.people.height_field import (
    Stage,
    build_stage,
    bump,
    column,
    head_outline,
    illuminate,
    inside,
    nose_relief,
    paint,
    squircle,
    unturn,
)
from darkroom.demo.people.parameters import (
    Eyes,
    Glasses,
    Identity,
    Mouth,
    Nose,
    Picture,
    Plane,
    Shots,
)


def draw_photos(identity: Identity, shots: Shots, size: int, streams: list[Generator]) -> Picture:
    """Draws the photos of one person.

    Args:
        identity: The person.
        shots: The parameters of the photos.
        size: Width and height in pixels.
        streams: Source of each photo's sensor noise.

    Returns:
        ``(n, 3, size, size)``, gamma-coded colours in [0, 1].
    """
    stage = build_stage(identity, shots, size)
    image = _backdrop(shots, stage)
    paint_back_hair(image, stage, shots, identity)
    _paint_neck(image, stage, shots, identity)
    _paint_ears(image, stage, shots, identity)
    _paint_face(image, stage, shots, identity)
    _paint_glasses(image, stage, shots, identity.glasses, identity.eyes)
    paint_front_hair(image, stage, shots, identity)
    return _expose(image, shots, streams)


def _backdrop(shots: Shots, stage: Stage) -> Picture:
    glow = 1.0 + shots.slope * stage.u - 0.10 * stage.v
    return shots.backdrop * glow[:, None]


def _paint_neck(image: Picture, stage: Stage, shots: Shots, identity: Identity) -> None:
    head = identity.head
    x, y = unturn(shots, stage.u, stage.v, 0.02)
    wide = head.width * (0.56 + 0.14 * head.square)
    flare = np.maximum(y - 0.72, 0.0)
    reach = wide + 1.1 * flare * flare
    across = np.clip(x * (1.0 / wide), -1.0, 1.0)
    round_ = np.sqrt(1.0 - 0.85 * across * across)
    facing = np.maximum(0.75 * round_ * shots.light_z + across * shots.light_x * 0.7, 0.0)
    # The chin keeps both the lamp and the sky off the neck.
    shadow = inside(head_outline(head, x, y - 0.12), 0.22)
    bright = (shots.key * facing + shots.ambient * (0.55 + 0.35 * round_)) * (1.0 - 0.62 * shadow)
    skin = column(identity.skin.colour)
    neck = inside(np.maximum(np.abs(x) - reach, 0.3 - y), 1.5 * stage.pixel)
    paint(image, bright[:, None] * skin, neck)
    collar = 0.90 - 0.22 * np.abs(x) + 0.10 * inside(np.abs(x) - 0.16, 0.3) - y
    cloth = shots.key * (0.45 + 0.35 * shots.light_z + 0.3 * x * shots.light_x) + shots.ambient
    paint(image, cloth[:, None] * shots.clothes, inside(collar, 1.5 * stage.pixel))


def _paint_ears(image: Picture, stage: Stage, shots: Shots, identity: Identity) -> None:
    head = identity.head
    if identity.hair.is_long:
        return
    x, y = unturn(shots, stage.u, stage.v, 0.13)
    side = np.abs(x)
    lean = side - (head.width + 0.35 * head.ear) - 0.10 * (0.06 - y)
    # Stretched towards the head, so that a turned head shows no gap before its ear.
    lean = np.where(lean < 0.0, 0.5 * lean, lean)
    across, along = lean * (1.0 / (0.045 + 0.6 * head.ear)), (y - 0.06) * (1.0 / 0.15)
    radius = np.sqrt(across * across + along * along)
    inner = bump((across + 0.15) * 1.9, along * 1.5)
    facing = 0.45 + 0.5 * np.sign(x) * shots.light_x
    bright = (shots.key * facing + shots.ambient * 0.9) * (0.95 - 0.42 * inner)
    skin = column(identity.skin.colour)
    reddish = skin * column((1.05, 0.86, 0.84))
    paint(image, bright[:, None] * reddish, inside((radius - 1.0) * 0.08, 1.6 * stage.pixel))


def _paint_face(image: Picture, stage: Stage, shots: Shots, identity: Identity) -> None:
    albedo = _skin_tones(stage, identity)
    rows, columns = _window(stage, -0.45, 0.20, 0.56)
    eyes = stage.crop(rows, columns)
    paint_brows(albedo[:, :, rows, columns], eyes, shots, identity.brows, identity.eyes)
    wet = np.zeros_like(stage.x)
    wet[:, rows, columns] = _paint_eyes(albedo[:, :, rows, columns], eyes, shots, identity.eyes)
    rows, columns = _window(stage, 0.08, 0.85, 0.50)
    lower = stage.crop(rows, columns)
    lips = np.zeros_like(stage.x)
    lips[:, rows, columns] = _paint_mouth(albedo[:, :, rows, columns], lower, shots, identity.mouth)
    _paint_nostrils(albedo[:, :, rows, columns], lower, identity.nose)
    height, occlusion = _relief(stage, shots, identity)
    light = illuminate(shots, height, stage, occlusion)
    lit = albedo * light.diffuse
    oily = bump(stage.x * 4.0, (stage.y + 0.35) * 3.0) + 1.5 * bump(
        stage.x * 9.0, (stage.y - identity.nose.y + 0.06) * 5.0
    )
    shine = shots.key * (light.gloss**22 * (0.03 + 0.055 * oily) + light.gloss**40 * 0.09 * lips)
    lit += (shine * (1.0 - wet))[:, None]
    _paint_catchlight(lit, stage, shots, identity.eyes, wet)
    paint(image, lit, inside(stage.outline, 1.5 * stage.pixel))
    paint_beard(image, stage, shots, identity, lips)


def _window(stage: Stage, top: float, bottom: float, side: float) -> tuple[slice, slice]:
    """Pixels that can show the given part of the face, whatever the pose."""
    size = stage.x.shape[-1]
    margin = 0.16

    def index(place: float) -> int:
        return int(np.clip(round((place + 1.0) * 0.5 * size), 0, size))

    return (
        slice(index(top - margin), index(bottom + margin)),
        slice(index(-side - margin), index(side + margin)),
    )


def _skin_tones(stage: Stage, identity: Identity) -> Picture:
    skin, eyes, nose = identity.skin, identity.eyes, identity.nose
    x, y, side = stage.x, stage.y, stage.side
    red = bump((side - 0.27) * 5.5, (y - 0.20) * 5.5)
    red += 0.8 * bump(x * (0.9 / nose.width), (y - nose.y) * 8.0)
    red *= 0.35 * skin.blush
    hollow = bump((side - eyes.spacing) * 6.5, (y - eyes.y - 0.055) * 13.0)
    hollow = hollow * (0.10 + 0.22 * skin.age) * (0.5 + 0.5 * eyes.socket)
    lid = bump((side - eyes.spacing) * 7.0, (y - eyes.y + 0.05) * 16.0) * 0.20 * eyes.lash
    dark = 1.0 - hollow - lid
    if skin.freckles > 0.0:
        spots = np.sin(43.0 * x + 9.0 * np.sin(15.0 * y)) * np.sin(
            39.0 * y + 7.0 * np.sin(17.0 * x)
        )
        spread = bump(x * 2.3, (y - 0.12) * 4.2)
        dark -= np.maximum(spots - 0.25, 0.0) * spread * 0.42 * skin.freckles
    if skin.mole > 0.0:
        dark -= 0.55 * bump((x - skin.mole_x) * 32.0, (y - skin.mole_y) * 32.0)
    albedo = np.empty((len(x), 3, *x.shape[1:]), dtype=np.float32)
    for channel, fade in enumerate((0.06, 0.85, 0.75)):
        albedo[:, channel] = skin.colour[channel] * dark * (1.0 - fade * red)
    return albedo


def _relief(stage: Stage, shots: Shots, identity: Identity) -> tuple[Plane, Plane]:
    """Depth of the lit surface, and the share of light that hollows and the nose let through."""
    head, eyes, nose, mouth = identity.head, identity.eyes, identity.nose, identity.mouth
    x, y, side = stage.x, stage.y, stage.side
    smile = np.maximum(shots.smile, 0.0)
    socket = bump((side - eyes.spacing + 0.02) * 6.0, (y - eyes.y + 0.02) * 8.5) * eyes.socket
    ball = bump((side - eyes.spacing) * 9.0, (y - eyes.y) * 12.0)
    ridge = bump((side - 0.19) * 4.2, (y - eyes.y + 0.15) * 11.0) * head.brow_ridge
    cheek = bump((side - 0.30) * 5.2, (y - 0.15 + 0.03 * smile) * 6.0)
    wing = bump((side - 0.72 * nose.width) * (1.9 / nose.width), (y - nose.y - 0.01) * 17.0)
    along = y - mouth.y
    lips = bump(x * (0.8 / mouth.width), (along - 0.01) * 13.0)
    crease = bump(x * 5.5, (along - mouth.lower - 0.055) * 15.0)
    chin = bump(x * 5.0, (y - head.chin + 0.10) * 8.0)
    height = stage.dome + nose_relief(nose, x, y)
    height += 0.035 * ball - 0.075 * socket + 0.03 * ridge + 0.034 * wing + 0.045 * lips
    height += (0.02 + 0.045 * head.cheek + 0.03 * smile) * cheek - 0.03 * crease + 0.04 * chin
    fold, wrinkles = _lines(stage, identity)
    depth = 0.15 + 0.75 * identity.skin.age + 0.55 * smile
    height -= 0.016 * depth * fold + 0.008 * identity.skin.age * wrinkles
    cast_x = (x + 0.13 * shots.light_x) * (0.85 / nose.width)
    cast = bump(cast_x, (y - nose.y - 0.075 + 0.06 * shots.light_y) * 13.0)
    shaded = 0.16 * socket + 0.34 * cast * shots.key + 0.10 * depth * fold + 0.14 * crease
    jaw = np.clip((stage.outline + 0.20) * 5.0, 0.0, 1.0) * np.clip(y * 2.0, 0.0, 1.0)
    return height, 1.0 - np.minimum(shaded + 0.22 * jaw * jaw, 0.8)


def _lines(stage: Stage, identity: Identity) -> tuple[Plane, Plane]:
    """Folds from nose to mouth, and wrinkles of forehead and eyes."""
    nose, mouth, eyes = identity.nose, identity.mouth, identity.eyes
    tall = mouth.y + 0.06 - nose.y
    along = (stage.y - nose.y) * (1.0 / tall)
    course = nose.width + 0.02 + (mouth.width - nose.width + 0.05) * np.clip(along, 0.0, 1.2)
    fold = bump((stage.side - course) * 30.0, (along - 0.45) * 1.5)
    brow = np.sin(62.0 * stage.y + 3.0 * stage.x * stage.x)
    brow = brow * bump(stage.x * 3.2, (stage.y - eyes.y + 0.36) * 7.0)
    return fold, brow


def _paint_eyes(albedo: Picture, stage: Stage, shots: Shots, eyes: Eyes) -> Plane:
    """Paints both eyes and returns where they are open."""
    cos, sin = float(np.cos(eyes.tilt)), float(np.sin(eyes.tilt))
    out, down = stage.side - eyes.spacing, stage.y - eyes.y
    u, v = out * cos - down * sin, down * cos + out * sin
    share = u * (1.0 / eyes.size)
    arc = 1.0 - share * share
    squint = 1.0 - 0.22 * np.maximum(shots.smile, 0.0)
    lid = -eyes.opening * shots.lid * (arc - 0.18 * share * arc)
    base = 0.62 * eyes.opening * squint * arc
    gap = np.maximum(lid - v, v - base)
    soft = 1.4 * stage.pixel
    white = inside(gap * 0.85, soft)
    corner = 1.0 - 0.25 * share * share
    shade = 0.35 * corner * (1.0 - 0.45 * inside(v - lid - 0.012, 0.035))
    sclera = shade[:, None] * column((1.0, 0.94, 0.91))
    paint(albedo, sclera, white)
    _paint_iris(albedo, stage, shots, eyes, white)
    span = inside((np.abs(share) - 1.06) * eyes.size, soft)
    lash = inside(np.abs(v - lid + 0.004) - (0.007 + 0.013 * eyes.lash), soft) * span
    paint(albedo, (0.02, 0.012, 0.01), lash * (0.62 + 0.33 * eyes.lash))
    rim = inside(np.abs(v - base - 0.004) - 0.004, soft) * span
    albedo *= (1.0 - 0.35 * rim)[:, None]
    fold = inside(np.abs(v - lid + 0.034 + 0.012 * arc) - 0.004, soft) * span
    albedo *= (1.0 - 0.38 * fold)[:, None]
    return white


def _paint_iris(albedo: Picture, stage: Stage, shots: Shots, eyes: Eyes, white: Plane) -> None:
    soft = 1.4 * stage.pixel
    out, down = stage.side - eyes.spacing, stage.y - eyes.y
    look = out - np.sign(stage.x) * shots.gaze_x
    fall = down - shots.gaze_y + 0.006
    radius = np.sqrt(look * look + fall * fall)
    ring = 0.45 + 0.55 * inside(radius - 0.041, 0.02)
    iris = ring[:, None] * column(eyes.iris)
    paint(albedo, iris, inside(radius - 0.055, soft) * white)
    paint(albedo, (0.006, 0.005, 0.005), inside(radius - 0.023, soft) * white)


def _paint_catchlight(lit: Picture, stage: Stage, shots: Shots, eyes: Eyes, wet: Plane) -> None:
    rows, columns = _window(stage, -0.15, 0.06, 0.36)
    part = stage.crop(rows, columns)
    x = part.x - np.sign(part.x) * eyes.spacing - shots.gaze_x - 0.022 * shots.light_x
    y = part.y - eyes.y - shots.gaze_y - 0.028 * shots.light_y
    spot = bump(x * 62.0, y * 62.0) * wet[:, rows, columns]
    lit[:, :, rows, columns] += (0.45 * spot * shots.key)[:, None]


def _paint_nostrils(albedo: Picture, stage: Stage, nose: Nose) -> None:
    out, down = stage.side - 0.46 * nose.width, stage.y - nose.y - 0.035
    hole = bump(out * (3.0 / nose.width), (down + 0.25 * out) * 42.0)
    wing = bump((stage.side - 1.06 * nose.width) * 38.0, (stage.y - nose.y - 0.005) * 17.0)
    albedo *= (1.0 - 0.72 * hole - 0.22 * wing)[:, None]


def _paint_mouth(albedo: Picture, stage: Stage, shots: Shots, mouth: Mouth) -> Plane:
    """Paints lips, teeth and the gap, and returns the opacity of all of them."""
    smile, soft = shots.smile, 1.5 * stage.pixel
    wide = mouth.width * (1.0 + 0.20 * smile)
    share = stage.x / wide
    arc = 1.0 - share * share
    middle = mouth.y + 0.085 * smile * (0.35 - share * share)
    gap = np.maximum(0.075 * shots.gape + 0.022 * np.maximum(smile - 0.35, 0.0), 0.0)
    bow = 1.0 - mouth.bow * np.exp(-((share * 5.5) ** 2))
    plump = np.sqrt(np.maximum(arc, 0.0)) * (0.35 + 0.65 * arc)
    upper = middle - 0.25 * gap * arc
    lower = middle + 0.75 * gap * arc
    top = upper - mouth.upper * bow * plump * (1.0 - 0.15 * smile)
    bottom = lower + mouth.lower * plump * (1.0 - 0.12 * smile)
    ends = (np.abs(share) - 1.0) * wide
    whole = inside(np.maximum(np.maximum(top - stage.y, stage.y - bottom), ends), soft)
    red = column(mouth.colour)
    two_tone = 0.72 + 0.40 * inside(lower - stage.y, 0.03)
    paint(albedo, two_tone[:, None] * red, whole * 0.92)
    hollow = inside(np.maximum(upper - stage.y, stage.y - lower), soft) * whole
    hollow = hollow * np.clip(gap * 60.0, 0.0, 1.0)
    paint(albedo, (0.060, 0.014, 0.014), hollow)
    teeth = inside(np.maximum(stage.y - upper - 0.045, np.abs(share) * wide - 0.7 * wide), soft)
    paint(albedo, (0.62, 0.58, 0.52), hollow * teeth * np.clip(0.45 + smile, 0.0, 0.95))
    seam = inside(np.abs(stage.y - upper) - 0.005, 1.3 * stage.pixel) * inside(ends, soft)
    albedo *= (1.0 - 0.62 * seam)[:, None]
    return whole


def _paint_glasses(
    image: Picture, stage: Stage, shots: Shots, glasses: Glasses, eyes: Eyes
) -> None:
    if glasses.opacity == 0.0:
        return
    x, y = unturn(shots, stage.u, stage.v, 0.60)
    side, soft = np.abs(x), 1.5 * stage.pixel
    wide = min(glasses.radius, eyes.spacing - 0.03)
    across = (side - eyes.spacing - 0.01) * (1.0 / wide)
    along = (y - eyes.y - 0.02) * (1.0 / (wide * glasses.aspect))
    edge = (squircle(across, along, glasses.square) - 1.0) * wide * 0.5 * (1.0 + glasses.aspect)
    frame = inside(np.abs(edge) - glasses.rim, soft)
    hinge = np.abs(y - eyes.y + 0.02)
    bridge = inside(np.maximum(hinge - 0.8 * glasses.rim, side - eyes.spacing + wide), soft)
    arm = np.maximum(hinge - 0.7 * glasses.rim, eyes.spacing + wide - side)
    temple = inside(np.maximum(arm, stage.outline), soft)
    lens = inside(edge, soft)
    glare = 0.10 * lens * inside(np.abs(across - along * 0.6 + 1.4 * shots.light_x) - 0.25, 0.3)
    image *= (1.0 - 0.07 * lens)[:, None]
    image += (glare * shots.key)[:, None]
    bright = shots.ambient + shots.key * (0.55 - 0.35 * along)
    colour = bright[:, None] * column(glasses.colour)
    paint(image, colour, np.maximum(np.maximum(frame, bridge), temple) * glasses.opacity)


def _expose(image: Picture, shots: Shots, streams: list[Generator]) -> Picture:
    """Blurs slightly, gamma-codes and adds sensor noise."""
    image *= shots.tint
    soft = image.copy()
    soft[:, :, 1:-1] = 0.25 * (image[:, :, :-2] + image[:, :, 2:]) + 0.5 * image[:, :, 1:-1]
    across = soft.copy()
    across[..., 1:-1] = 0.25 * (soft[..., :-2] + soft[..., 2:]) + 0.5 * soft[..., 1:-1]
    image += (across - image) * shots.blur[:, None]
    coded = np.clip(image, 0.0, 1.0) ** np.float32(1.0 / 2.2)
    shape = image.shape[1:]
    grain = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in streams])
    noisy: Picture = np.clip(coded + shots.noise[:, None] * grain, 0.0, 1.0)
    return noisy
