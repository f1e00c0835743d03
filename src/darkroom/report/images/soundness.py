"""Whether the judges of reconstructed people are good enough to support a verdict."""

from __future__ import annotations

from darkroom.images.record import ImageCell
from darkroom.report.faces.accuracy import accuracy_doubts
from darkroom.report.wording import percent, several
from darkroom.statistics.intervals import newcombe
from darkroom.vision.record import MeasuredRate


def unsound(cell: ImageCell) -> tuple[str, ...]:
    """Says why the judges of a cell cannot support what it shows; nothing where they can.

    A cell with an advantage above zero shows a leak, any other none, and the two ask different
    things of judges.
    """
    return (
        leak_doubts(cell)
        if cell.advantage.low > 0
        else accuracy_doubts(cell.details.judges.accuracy)
    )


def leak_doubts(cell: ImageCell) -> tuple[str, ...]:
    """Says why the judges' own errors could explain the success of a cell; nothing if not.

    An error rate explains the success if Newcombe's interval of success less error rate reaches
    zero. A rate that was tried too seldom to say much counts where an error was seen, and so does
    that of all tries together. Where the ranks among strangers, by a judge that met neither, show
    that people are known, the success is no mistake.
    """
    if cell.bits is not None and cell.bits.low > 0:
        return ()
    judges = cell.details.judges
    errors = (
        (judges.false_positive_noise, "noise"),
        (judges.false_positive_adversarial, "slightly changed photos of other people"),
        (judges.false_positive_others, "photos of other people"),
    )
    reasons = [
        f"they take {_hits(rate)} of {several(rate.n, 'picture', 'pictures')} that show nothing "
        f"but {what} for the person, which could explain {percent(cell.success.estimate)}"
        for rate, what in errors
        if explains(cell, rate)
    ]
    hits, trials = sum(_hits(rate) for rate, _ in errors), sum(rate.n for rate, _ in errors)
    if not reasons and (trials == 0 or _explained(cell, hits, trials)):
        reasons.append(
            f"they were tried on {several(trials, 'picture', 'pictures')} of somebody else or of "
            f"nobody, too few to rule out that {percent(cell.success.estimate)} are mistakes"
        )
    return tuple(reasons)


def explains(cell: ImageCell, rate: MeasuredRate) -> bool:
    """Tells whether errors of this rate, of which some were seen, could explain a success."""
    return _hits(rate) > 0 and _explained(cell, _hits(rate), rate.n)


def _explained(cell: ImageCell, hits: int, trials: int) -> bool:
    return newcombe(cell.hits, cell.goals, hits, trials).low <= 0


def _hits(rate: MeasuredRate) -> int:
    return round((rate.estimate or 0.0) * rate.n)
