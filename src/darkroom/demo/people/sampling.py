"""Draws people: which head, skin, hair, eyes, nose, mouth, beard and glasses go together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from darkroom.demo.people.parameters import (
    Beard,
    Brows,
    Colour,
    Eyes,
    Glasses,
    Hair,
    Head,
    Identity,
    Mouth,
    Nose,
    Skin,
    scale,
    uniform,
)

_FAIR, _DARK = (0.80, 0.52, 0.40), (0.085, 0.037, 0.020)
_HAIR_COLOURS: tuple[tuple[Colour, float], ...] = (
    ((0.010, 0.008, 0.008), 1.3),
    ((0.035, 0.018, 0.010), 1.3),
    ((0.100, 0.048, 0.022), 1.0),
    ((0.210, 0.115, 0.050), 0.9),
    ((0.480, 0.320, 0.140), 1.3),
    ((0.230, 0.060, 0.018), 0.8),
    ((0.300, 0.290, 0.280), 0.6),
    ((0.640, 0.620, 0.590), 0.3),
)
_IRIS_COLOURS: tuple[Colour, ...] = (
    (0.040, 0.018, 0.008),
    (0.090, 0.042, 0.016),
    (0.130, 0.095, 0.030),
    (0.090, 0.150, 0.080),
    (0.110, 0.210, 0.340),
    (0.180, 0.230, 0.260),
)
_FRAME_COLOURS: tuple[Colour, ...] = (
    (0.012, 0.012, 0.014),
    (0.060, 0.025, 0.010),
    (0.250, 0.180, 0.070),
    (0.220, 0.020, 0.025),
    (0.020, 0.040, 0.160),
)


class _Haircut(NamedTuple):
    weight: float
    hair: Hair


class _Beardstyle(NamedTuple):
    weight: float
    beard: Beard


# No hair at all; the haircuts change what they need of it. The hairline counts from the top of
# the head until a person's own is known.
_PLAIN = Hair(
    cover=0.0,
    top=0.0,
    side=0.0,
    length=0.1,
    flare=0.0,
    hairline=0.20,
    opening=0.95,
    square=0.35,
    part_x=0.0,
    part_drop=0.0,
    temple=0.0,
    sideburn=0.06,
    curl=0.0,
    fringe=0.0,
    phase=0.0,
    colour=(0.0, 0.0, 0.0),
)


def draw_identity(rng: Generator) -> Identity:
    """Draws a person.

    Args:
        rng: The person's own stream.
    """
    masculine = float(np.clip(rng.normal(0.5, 0.45), 0.0, 1.0))
    age = float(rng.beta(1.2, 2.2))
    dark = float(rng.uniform(0.0, 1.0) ** 1.25)
    head = _draw_head(rng, masculine)
    skin = _draw_skin(rng, dark, age)
    colour = _draw_hair_colour(rng, dark, age)
    eyes = _draw_eyes(rng, masculine, dark)
    nose = Nose(
        width=uniform(rng, 0.085, 0.15),
        y=eyes.y + uniform(rng, 0.25, 0.36),
        relief=uniform(rng, 0.12, 0.21),
        bridge=uniform(rng, 0.035, 0.065),
    )
    return Identity(
        head,
        skin,
        _draw_hair(rng, head, colour, masculine, age),
        _draw_brows(rng, colour, masculine),
        eyes,
        nose,
        _draw_mouth(rng, nose, head, skin.colour, masculine),
        _draw_beard(rng, colour, masculine),
        _draw_glasses(rng),
        masculine,
    )


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """Mixes two colours in the logarithm, in which skin and hair tones are evenly spread."""
    mixed = [a ** (1 - share) * b**share for a, b in zip(first, second, strict=True)]
    return (mixed[0], mixed[1], mixed[2])


def _draw_head(rng: Generator, masculine: float) -> Head:
    return Head(
        width=uniform(rng, 0.46, 0.57),
        top=uniform(rng, -0.77, -0.68),
        chin=uniform(rng, 0.64, 0.76) + 0.02 * masculine,
        jaw=uniform(rng, 0.06, 0.34) - 0.06 * masculine,
        square=float(np.clip(uniform(rng, -0.1, 0.7) + 0.25 * masculine, 0.0, 0.85)),
        cheek=uniform(rng, 0.0, 1.0),
        brow_ridge=0.3 + 0.7 * masculine * uniform(rng, 0.3, 1.0),
        ear=uniform(rng, 0.02, 0.075),
    )


def _draw_skin(rng: Generator, dark: float, age: float) -> Skin:
    colour = scale(
        _mix(_FAIR, _DARK, dark),
        uniform(rng, 0.94, 1.08),
        uniform(rng, 0.94, 1.06),
        uniform(rng, 0.80, 1.12),
    )
    return Skin(
        colour=colour,
        blush=uniform(rng, 0.1, 1.0) * (1 - 0.6 * dark),
        freckles=float(rng.random() < 0.25) * uniform(rng, 0.4, 1.0) * (1 - dark),
        age=age,
        mole=float(rng.random() < 0.2),
        mole_x=uniform(rng, 0.14, 0.34) * _either(rng),
        mole_y=uniform(rng, 0.15, 0.5),
    )


def _draw_hair_colour(rng: Generator, dark: float, age: float) -> Colour:
    weights = np.array([weight for _, weight in _HAIR_COLOURS])
    weights[3:6] *= max(1.0 - 1.7 * dark, 0.03)
    weights[6:] *= 0.15 + 2.5 * age**2
    first, second = rng.choice(len(weights), 2, p=weights / weights.sum())
    return _mix(
        _HAIR_COLOURS[first][0], _HAIR_COLOURS[second][0], 0.25 * float(rng.uniform(0.0, 1.0))
    )


def _draw_brows(rng: Generator, hair: Colour, masculine: float) -> Brows:
    return Brows(
        gap=uniform(rng, 0.115, 0.185) - 0.02 * masculine,
        thickness=uniform(rng, 0.016, 0.034) + 0.012 * masculine,
        angle=uniform(rng, -0.06, 0.20),
        arch=uniform(rng, 0.0, 0.05),
        reach=uniform(rng, 0.12, 0.165),
        colour=_mix(hair, (0.02, 0.011, 0.007), uniform(rng, 0.35, 0.75)),
    )


def _draw_eyes(rng: Generator, masculine: float, dark: float) -> Eyes:
    reach = 2 if rng.random() < dark * 1.3 else len(_IRIS_COLOURS)
    return Eyes(
        spacing=uniform(rng, 0.195, 0.255),
        size=uniform(rng, 0.095, 0.128),
        y=uniform(rng, -0.08, -0.01),
        opening=uniform(rng, 0.038, 0.066),
        tilt=uniform(rng, -0.14, 0.2),
        lash=uniform(rng, 0.3, 1.0) - 0.25 * masculine,
        socket=uniform(rng, 0.4, 1.0),
        iris=_IRIS_COLOURS[int(rng.integers(reach))],
    )


def _draw_mouth(rng: Generator, nose: Nose, head: Head, skin: Colour, masculine: float) -> Mouth:
    paint = uniform(rng, 0.0, 1.0) ** 2 * (1 - masculine)
    natural = scale(skin, 0.80, 0.52, 0.55)
    return Mouth(
        y=nose.y + (head.chin - nose.y) * uniform(rng, 0.36, 0.46),
        width=uniform(rng, 0.16, 0.235),
        upper=uniform(rng, 0.022, 0.052) - 0.008 * masculine,
        lower=uniform(rng, 0.034, 0.068) - 0.006 * masculine,
        bow=uniform(rng, 0.0, 0.4),
        colour=_mix(natural, (0.42, 0.035, 0.06), 0.8 * paint),
    )


def _draw_beard(rng: Generator, hair: Colour, masculine: float) -> Beard:
    grown = float(masculine > 0.55)
    amount = uniform(rng, 0.9, 1.0)
    stubble = uniform(rng, 0.25, 0.5)
    length = uniform(rng, 0.005, 0.055)
    colour = _mix(hair, (0.05, 0.025, 0.012), 0.3)
    styles = (
        _Beardstyle(1.0, Beard(0.0, 0.0, 0.0, 0.0, colour)),
        _Beardstyle(0.55 * grown, Beard(stubble, stubble, stubble, 0.0, colour)),
        _Beardstyle(0.35 * grown, Beard(0.0, amount, 0.0, 0.0, colour)),
        _Beardstyle(0.45 * grown, Beard(0.0, amount, amount, 0.3 * length, colour)),
        _Beardstyle(0.70 * grown, Beard(amount, amount, amount, length, colour)),
    )
    return styles[_pick(rng, [style.weight for style in styles])].beard


def _pick(rng: Generator, weights: list[float]) -> int:
    """Draws an index, each in proportion to its weight."""
    shares = np.array(weights)
    return int(rng.choice(len(shares), p=shares / shares.sum()))


def _draw_glasses(rng: Generator) -> Glasses:
    square = float(rng.random() < 0.5)
    return Glasses(
        opacity=float(rng.random() < 0.28),
        radius=uniform(rng, 0.135, 0.175),
        aspect=uniform(rng, 0.68, 0.8) if square else uniform(rng, 0.88, 1.0),
        square=square * uniform(rng, 0.75, 0.95),
        rim=uniform(rng, 0.012, 0.03),
        colour=_FRAME_COLOURS[int(rng.integers(len(_FRAME_COLOURS)))],
    )


def _draw_hair(rng: Generator, head: Head, colour: Colour, masculine: float, age: float) -> Hair:
    """Draws a haircut as the base, then shakes every length of it."""
    cuts = _haircuts(masculine, age)
    base = cuts[_pick(rng, [cut.weight for cut in cuts])].hair
    lengthy = float(base.is_long)
    parting = float(rng.random() < 0.6)
    return base._replace(
        top=base.top * uniform(rng, 0.75, 1.3),
        side=base.side * uniform(rng, 0.7, 1.4),
        length=base.length + lengthy * uniform(rng, -0.12, 0.12),
        hairline=head.top + base.hairline + uniform(rng, 0.0, 0.10) - 0.03 * age * masculine,
        opening=base.opening + uniform(rng, -0.03, 0.03),
        part_x=parting * uniform(rng, 0.06, 0.26) * _either(rng),
        part_drop=base.part_drop + lengthy * uniform(rng, 0.05, 0.35),
        temple=(1.0 - lengthy) * masculine * uniform(rng, 0.0, 0.10 + 0.08 * age),
        sideburn=base.sideburn + uniform(rng, -0.08, 0.10) * masculine,
        phase=uniform(rng, 0.0, 100.0),
        colour=colour,
    )


def _haircuts(masculine: float, age: float) -> tuple[_Haircut, ...]:
    """Haircuts and how common each is."""
    short = 0.15 + 1.2 * masculine
    full = max(1.15 - 1.4 * masculine, 0.08)
    return (
        _Haircut(0.5 * masculine * (0.3 + age), _PLAIN),
        _Haircut(0.6 * short, _cut(0.02, 0.006, 0.08)._replace(cover=0.72, square=0.75)),
        _Haircut(1.0 * short, _cut(0.07, 0.025, 0.10)._replace(fringe=0.5)),
        _Haircut(0.9 * short, _cut(0.16, 0.02, 0.10)),
        _Haircut(1.0 * short, _cut(0.10, 0.04, 0.12)._replace(part_drop=0.32)),
        _Haircut(0.5, _cut(0.10, 0.06, 0.15)._replace(hairline=0.24, fringe=1.0)),
        _Haircut(0.9, _cut(0.17, 0.15, 0.18)._replace(curl=1.0)),
        _Haircut(0.9 * full, _cut(0.10, 0.11, 0.55)._replace(flare=0.10, opening=0.83)),
        _Haircut(1.6 * full, _cut(0.09, 0.08, 1.3)._replace(flare=0.06, opening=0.86)),
        _Haircut(1.2 * full, _cut(0.12, 0.16, 1.2)._replace(flare=0.12, opening=0.85, curl=0.5)),
        _Haircut(0.9 * full, _cut(0.045, 0.01, 0.05)),
    )


def _cut(top: float, side: float, length: float) -> Hair:
    return _PLAIN._replace(cover=1.0, top=top, side=side, length=length)


def _either(rng: Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0
