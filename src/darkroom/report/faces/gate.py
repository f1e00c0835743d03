"""What the plausibility gate measured of a picture, in words."""

from __future__ import annotations

from darkroom.vision.record import GateMeasures


def gate_measures(found: GateMeasures, limits: GateMeasures) -> tuple[str, ...]:
    """Says what the gate measured beside what it allows."""
    return (
        *(
            f"{words} {value:.2f} of {limit:.2f} at most"
            for words, value, limit in _upper(found, limits)
        ),
        f"likeness to a photo {found.likeness:.2f} of {limits.likeness:.2f} at least",
    )


def gate_refusals(found: GateMeasures, limits: GateMeasures) -> tuple[str, ...]:
    """Says which limits an image fails, with as many digits as tell the two apart."""
    refusals = [
        f"{words} {_apart(value, limit, '>')}"
        for words, value, limit in _upper(found, limits)
        if value > limit
    ]
    if found.likeness < limits.likeness:
        refusals.append(f"likeness to a photo {_apart(found.likeness, limits.likeness, '<')}")
    return tuple(refusals)


def _upper(found: GateMeasures, limits: GateMeasures) -> tuple[tuple[str, float, float], ...]:
    return (
        ("share outside the space of faces", found.residual, limits.residual),
        ("distance from the average", found.mahalanobis, limits.mahalanobis),
        ("noise", found.noise, limits.noise),
    )


def _apart(value: float, limit: float, sign: str) -> str:
    digits = next((n for n in range(2, 7) if f"{value:.{n}f}" != f"{limit:.{n}f}"), 7)
    return f"{value:.{digits}f} {sign} {limit:.{digits}f}"
