"""Numbers as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from darkroom.auditing.record import Interval

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def percent(rate: float) -> str:
    """Writes a rate as a percentage that never rounds to 0% or 100% what is not.

    >>> percent(0.95), percent(0.025), percent(0.9996), percent(0.0001)
    ('95%', '2.5%', '>99.9%', '<0.1%')
    """
    return f"{_hundredths(rate)}%"


def spread(interval: Interval) -> str:
    """Writes the interval of a rate.

    >>> spread(Interval(estimate=0.95, low=0.831, high=0.994)) == f"83{DASH}99.4%"
    True
    """
    return f"{_hundredths(interval.low)}{DASH}{_hundredths(interval.high)}%"


def points(difference: float) -> str:
    """Writes a difference of rates in percentage points, with its sign.

    >>> points(0.93), points(-0.05) == f"{MINUS}5", points(0.0)
    ('+93', True, '0')
    """
    if difference == 0:
        return "0"
    return ("+" if difference > 0 else MINUS) + _hundredths(abs(difference))


def between(difference: Interval) -> str:
    """Writes a difference of rates in percentage points with its interval.

    >>> between(Interval(estimate=0.1, low=-0.05, high=0.25)) == f"+10 ({MINUS}5 to +25)"
    True
    """
    low, high = points(difference.low), points(difference.high)
    return f"{points(difference.estimate)} ({low} to {high})"


def confidence(value: float) -> str:
    """Writes a confidence to four decimals, without rounding up to certainty.

    >>> confidence(0.9994), confidence(0.999999), confidence(1.0)
    ('0.9994', '>0.9999', '1')
    """
    if value in (0.0, 1.0):
        return f"{value:.0f}"
    if value > 0.9999:
        return ">0.9999"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def probability(value: float) -> str:
    """Writes a p-value to two significant digits.

    >>> probability(0.0005), probability(0.02), probability(0.5), probability(1e-6)
    ('0.0005', '0.02', '0.5', '<0.0001')
    """
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def count(value: float) -> str:
    """Writes a number of things.

    >>> count(12000), count(12.5)
    ('12,000', '12.5')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def amount(value: float) -> str:
    """Writes a number of bits.

    >>> amount(9.64), amount(-0.04) == "0.0", amount(-1.25) == f"{MINUS}1.2"
    ('9.6', True, True)
    """
    return f"{MINUS if round(value, 1) < 0 else ''}{abs(value):.1f}"


def bits(value: float) -> str:
    """Writes how many candidates so many bits tell apart.

    >>> bits(10.0), bits(29.9)
    ('1,024', 'about 1,000,000,000')
    """
    whole = 2**value
    if value <= 20:
        return count(round(whole))
    power = int(f"{whole:.0e}".partition("e")[2])
    digit = round(whole / 10**power)
    return f"about {digit * 10**power:,}" if power < 15 else f"about {digit} with {power} zeros"


def duration(seconds: float) -> str:
    """Writes a time to two or three significant digits.

    >>> duration(0.084), duration(22.56), duration(600.0), duration(7200.0)
    ('0.084 seconds', '23 seconds', '10 minutes', '2 hours')
    """
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} seconds" if seconds < 99.5 else f"{seconds:.0f} seconds"


def several(value: float, one: str, many: str) -> str:
    """Writes a number with its noun.

    >>> several(1, "cell", "cells"), several(3, "cell", "cells")
    ('1 cell', '3 cells')
    """
    return f"{count(value)} {one if value == 1 else many}"


def moment(when: datetime) -> str:
    """Writes a date and time in UTC.

    >>> moment(datetime(2026, 11, 3, 20, 25, tzinfo=UTC))
    '3 November 2026, 20:25 UTC'
    """
    utc = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    months = "January February March April May June July August September October November December"
    return f"{utc.day} {months.split()[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"


def score(value: float) -> str:
    """Writes a measure between -1 and 1 to two decimals.

    >>> score(0.716), score(-0.2) == f"{MINUS}0.20", score(1.0)
    ('0.72', True, '1.00')
    """
    return f"{MINUS if round(value, 2) < 0 else ''}{abs(value):.2f}"


def access_phrase(access: str) -> str:
    """Says what an attacker has at an access level, to follow "an attacker".

    >>> access_phrase("weights"), access_phrase("label")
    ('with its weights', 'who sees the label alone')
    """
    match access:
        case "weights":
            return "with its weights"
        case "scores":
            return "who sees every confidence"
        case "top_k":
            return "who sees the highest confidences"
        case "label":
            return "who sees the label alone"
        case "logprobs":
            return "who sees log-probabilities"
        case _:
            return "who sees its samples"


def without_credentials(plan: str) -> str:
    """Returns a plan's text with the values of passwords, tokens and keys blanked out.

    A report is filed and passed on; what opens the target's door must not travel with it.

    >>> without_credentials('api_key = "hunter2"')
    'api_key = "[removed]"'
    """
    names = r"(?:token|secret|passw(?:or)?d|passphrase|authorization|api[_-]?key|credential|cookie)"
    named = re.compile(
        rf"([\w.\"'-]*{names}[\w.\"'-]*\s*=\s*)"
        r"(\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')",
        re.IGNORECASE | re.DOTALL,
    )
    return re.sub(r"://[^/\s\"'@]+@", "://[removed]@", named.sub(r'\1"[removed]"', plan))


def _hundredths(rate: float) -> str:
    hundredths = 100 * rate
    if hundredths in (0.0, 100.0):
        return f"{hundredths:.0f}"
    if hundredths < 0.1:
        return "<0.1"
    if hundredths > 99.9:
        return ">99.9"
    if 10 <= hundredths <= 99:
        return f"{hundredths:.0f}"
    return f"{hundredths:.1f}".removesuffix(".0")
