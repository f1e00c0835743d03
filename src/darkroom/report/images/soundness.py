"""Whether the judges of reconstructed people are good enough to support a verdict."""

from __future__ import annotations

from darkroom.images.record import ImageCell
from darkroom.report.wording import percent

LARGEST_FALSE_POSITIVE_RATE = 0.05
SMALLEST_ACCURACY = 0.8


def unsound(cell: ImageCell) -> tuple[str, ...]:
    """Says why the judges of a cell cannot support a verdict; nothing where they can."""
    rates = cell.judges
    reasons = []
    if rates.accuracy is None:
        reasons.append("their accuracy on real photos was not measured")
    elif rates.accuracy < SMALLEST_ACCURACY:
        reasons.append(f"they name only {percent(rates.accuracy)} of real photos rightly")
    wrong = (
        (rates.false_positive_noise, "noise"),
        (rates.false_positive_adversarial, "slightly changed photos of other people"),
        (rates.false_positive_others, "photos of other people"),
    )
    for rate, what in wrong:
        if rate is not None and rate > LARGEST_FALSE_POSITIVE_RATE:
            reasons.append(f"they take {percent(rate)} of {what} for the person")
    return tuple(reasons)
