"""What may have been done to photos in training that the audit does not do, to be tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from darkroom.images.checks.sample import Images, unit
from darkroom.vision.spec import ImageSpec

# Of ImageNet, which most pretrained models were given.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]

_GAMMA = 2.2
"""About the power by which the values of sRGB grow into amounts of light."""

_CROPPED = 16
"""Pixels a side of which a sixteenth can be cut off."""

_WRAP = "Put it into the module that [target] load returns, before the model's first layer."


class Change(NamedTuple):
    """Something that may be done to photos before a model is asked.

    Attributes:
        cause: What is wrong if it helps, in words that stay the same.
        words: What is done, to follow "with".
        remedy: What to do about it, in a sentence.
        apply: Takes photos scaled to 0 to 1, and returns what the model is given.
    """

    cause: str
    words: str
    remedy: str
    apply: Callable[[Images], Images]


def changes(photos: Images, spec: ImageSpec) -> list[tuple[Change, Images]]:
    """Returns what to try, likely ones first, with the photos that each is applied to.

    Args:
        photos: In the target's range, ``(n, channels, height, width)``.
        spec: The images that the target is said to take.
    """
    scaled = unit(photos, spec)
    found = [(change, scaled) for change in _scalings(scaled, spec)]
    found += [(change, scaled) for change in _turns(spec)]
    if spec.shape[0] == 3 and _coloured(scaled):
        plain = _declared(spec)
        found.append((_reversed(plain), scaled))
        found += [(_reversed(change), scaled) for change in _scalings(scaled, spec)]
    found += [(change, stretched) for change, stretched in _stretched(photos, spec)]
    return found + [(change, scaled) for change in _developed(spec)]


def _declared(spec: ImageSpec) -> Change:
    """Returns the scaling that the plan declares."""
    return Change("", "", "", lambda images: images * spec.width_of_range + spec.low)


def _scalings(scaled: Images, spec: ImageSpec) -> Iterator[Change]:
    """Yields other ways to scale pixels."""
    where = "normalisation"
    if spec.shape[0] == 3:
        yield Change(
            where,
            "ImageNet's mean and deviation",
            _WRAP,
            lambda images: (images - _MEAN) / _DEVIATION,
        )
    for low, high in ((-1.0, 1.0), (0.0, 255.0), (0.0, 1.0), (-0.5, 0.5)):
        if (low, high) != (spec.low, spec.high):
            yield _ranged(low, high)
    yield Change(where, "each photo standardised by itself", _WRAP, _standardised)
    mean = scaled.mean(axis=(0, 2, 3), keepdims=True)
    deviation = scaled.std(axis=(0, 2, 3), keepdims=True) + 1e-6
    yield Change(
        where,
        "the photos' own mean and deviation in each channel",
        _WRAP,
        lambda images: (images - mean) / deviation,
    )
    if spec.shape[0] == 3:
        yield Change(
            where,
            "values 0 to 255 less ImageNet's mean",
            _WRAP,
            lambda images: 255 * (images - _MEAN),
        )


def _ranged(low: float, high: float) -> Change:
    half = ", as after subtracting 0.5 and dividing by 0.5" if (low, high) == (-1, 1) else ""
    return Change(
        "range",
        f"values {low:g} to {high:g}{half}",
        f"Set [target] range = [{low}, {high}].",
        lambda images: images * (high - low) + low,
    )


def _standardised(images: Images) -> Images:
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    deviation = images.std(axis=(1, 2, 3), keepdims=True)
    standardised: Images = (images - mean) / (deviation + 1e-6)
    return standardised


def _turns(spec: ImageSpec) -> Iterator[Change]:
    """Yields photos inverted, mirrored and turned."""
    plain = _declared(spec).apply
    remedy = "Save the photos as the model was given them."
    yield Change("inverted", "black and white exchanged", remedy, lambda images: plain(1 - images))
    turns: list[tuple[str, Callable[[Images], Images]]] = [
        ("photos upside down", lambda images: images[:, :, ::-1]),
    ]
    if spec.shape[1] == spec.shape[2]:
        turns += [
            ("rows and columns exchanged", lambda images: images.swapaxes(2, 3)),
            ("photos turned left", lambda images: np.rot90(images, 1, (2, 3))),
            ("photos turned right", lambda images: np.rot90(images, -1, (2, 3))),
        ]
    for words, turn in turns:
        yield Change("orientation", words, remedy, _after(turn, plain))


def _developed(spec: ImageSpec) -> Iterator[Change]:
    """Yields photos in other light, and their middle alone."""
    plain = _declared(spec).apply
    for words, power in (("photos in linear light", _GAMMA), ("photos in sRGB", 1 / _GAMMA)):
        remedy = f"Give the model {words}, as it was trained on them."
        yield Change("light", words, remedy, _after(partial(_powered, power=power), plain))
    if min(spec.shape[1:]) >= _CROPPED:
        words = "the middle seven eighths of each photo"
        remedy = f"Crop the photos as in training, to {words}: 224 of 256 pixels are usual."
        yield Change("crop", words, remedy, _after(_middle, plain))


def _powered(images: Images, power: float) -> Images:
    return images.clip(0, 1) ** np.float32(power)


def _middle(images: Images) -> Images:
    """Returns the middle of photos, enlarged to their size."""
    height, width = images.shape[2:]
    top, left = round(height / 16), round(width / 16)
    middle = torch.from_numpy(images[:, :, top : height - top, left : width - left])
    size = (height, width)
    return functional.interpolate(middle, size, mode="bilinear", align_corners=False).numpy()


def _after(
    first: Callable[[Images], Images], then: Callable[[Images], Images]
) -> Callable[[Images], Images]:
    return lambda images: np.ascontiguousarray(then(first(images)))


def _reversed(change: Change) -> Change:
    """Returns a change with the channels in reverse order besides."""
    remedy = (
        "Reverse the channels of the photos, or in the module that [target] load returns: "
        "model(x.flip(1))."
    )
    return Change(
        f"{change.cause}, channel order".removeprefix(", "),
        f"{change.words} and channels blue, green, red".removeprefix(" and "),
        f"{change.remedy} {remedy}".strip(),
        _after(lambda images: images[:, ::-1], change.apply),
    )


def _coloured(images: Images) -> bool:
    """Tells whether channels differ, so that their order can matter."""
    return bool(np.abs(images[:, 0] - images[:, 2]).mean() > 0.002)


def _stretched(photos: Images, spec: ImageSpec) -> Iterator[tuple[Change, Images]]:
    """Yields readings of photos that have not the range that the plan says they have."""
    lowest, highest = float(photos.min()), float(photos.max())
    if lowest >= 0 and highest <= 1 and (spec.low, spec.high) != (0, 1):
        words = "photos read as values 0 to 1"
        remedy = f"Scale the photos to the target's range, {spec.low:g} to {spec.high:g}."
        yield _declared(spec)._replace(cause="range", words=words, remedy=remedy), photos
    elif 0 < highest - lowest < 0.3 * spec.width_of_range:
        words = "photos stretched over the whole range"
        remedy = "Save the photos so that they use the whole range: perhaps 12 or 16 bits were cut."
        wide = (photos - lowest) / (highest - lowest)
        yield _declared(spec)._replace(cause="range", words=words, remedy=remedy), wide
