"""Whether photos use the range of values that the plan says they have."""

from __future__ import annotations

import numpy as np

from darkroom.auditing.record import Check
from darkroom.images.checks.sample import Images, unit
from darkroom.images.subject import Subject

NAME = "photos"

_TINY, _SMALL = 0.08, 0.3  # of the whole range
_FLAT = 0.01


def check_photos(subject: Subject) -> Check:
    """Looks for photos that show nothing, and for sets that use little of the range.

    Args:
        subject: The model and the photos.
    """
    spec = subject.target.spec
    sets = {"private": subject.private.images}
    if subject.public is not None:
        sets["public"] = subject.public.images
    spans = {name: _span(unit(images, spec)) for name, images in sets.items()}
    name = min(spans, key=lambda one: spans[one])
    ends = f"{spec.low:g} to {spec.high:g}"
    if spans[name] < _SMALL:
        return Check(
            name=NAME,
            outcome="failed" if spans[name] < _TINY else "noted",
            found=f"The {name} photos use {spans[name]:.1%} of the range {ends}: they are nearly "
            "one colour.",
            cause="range",
            remedy="Scale the photos to the whole range, or set [target] range to theirs; of 12 or "
            "16 bits the upper ones may have been cut off.",
        )
    flat = {name: int((_spans(unit(images, spec)) < _FLAT).sum()) for name, images in sets.items()}
    if any(flat.values()):
        many = " and ".join(f"{count:,} {name}" for name, count in flat.items() if count)
        most = any(count > len(sets[name]) / 2 for name, count in flat.items())
        return Check(
            name=NAME,
            outcome="failed" if most else "noted",
            found=f"{many} photos are of one colour and show nobody.",
            cause="constant photos",
            remedy="Remove or replace them.",
        )
    count = sum(len(images) for images in sets.values())
    return Check(name=NAME, outcome="passed", found=f"{count:,} photos use the range {ends}.")


def _span(images: Images) -> float:
    """Returns how much of the range nearly all values of a set lie in."""
    some = images[:: max(1, len(images) // 256)]
    low, high = np.quantile(some, [0.001, 0.999])
    return float(high - low)


def _spans(images: Images) -> np.ndarray:
    """Returns how much of the range each photo uses, ``(n,)``."""
    spans: np.ndarray = images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3))
    return spans
