"""Whether judges know real photos so well that it means something if they recognise nobody."""

from __future__ import annotations

from darkroom.report.wording import percent
from darkroom.vision.record import MeasuredRate

SMALLEST_ACCURACY = 0.8


def knows_too_few(accuracy: MeasuredRate) -> bool:
    """Tells whether judges surely name too few real photos rightly: by its whole interval."""
    return accuracy.high is not None and accuracy.high < SMALLEST_ACCURACY


def accuracy_doubts(accuracy: MeasuredRate) -> tuple[str, ...]:
    """Says why judges who find nothing mean nothing; nothing where they surely know real photos."""
    if accuracy.estimate is None:
        return ("their accuracy on real photos was not measured",)
    if knows_too_few(accuracy):
        return (f"they name only {percent(accuracy.estimate)} of real photos rightly",)
    return ()
