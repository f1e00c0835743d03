"""What a verdict says: its headline, its reasons, and what must be known to read it."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.auditing.record import Cell
from darkroom.auditing.run_record import Limit
from darkroom.kinds import Nouns
from darkroom.report.kind_page import attacker
from darkroom.report.verdict.judged import Judged, Standing, bits_told, counted, strength
from darkroom.report.wording import amount, percent, points, several, spread
from darkroom.statistics.intervals import Interval
from darkroom.statistics.power import widened

_CONVINCED = 0.5
"""The confidence from which a model takes a picture for somebody."""


def reasons(standing: Standing, strongest: Judged, cells: Sequence[Judged]) -> list[str]:
    """Says what decides, beside the headline."""
    match standing:
        case Standing.UNSUPPORTED:
            return list(strongest.finding.unsound)
        case Standing.WEAK:
            nouns = strongest.finding.nouns
            return [
                f"With {several(strongest.cell.goals, nouns.goal, nouns.goals)}, an attack "
                "that recovers all of them would not stand out from chance."
            ]
        case Standing.NARROWED:
            found = max(_measured(cells), key=lambda one: bits_told([one])[0].low)
            return [
                f"{_bits_spread(found)} Say with [limit] bits how many are allowed, or audit more "
                f"{found.finding.nouns.goals}."
            ]
        case Standing.MISLED:
            found = max(_measured(cells), key=lambda one: bits_told([one])[0].high)
            return [f"{_bits_spread(found)} {_mistaken(found.finding.nouns.goals)}"]
        case Standing.PERSON:
            worst = _worst_off(strongest, cells)
            return [worst] if worst else []
    estimate, low, high = strongest.advantage
    told = (
        f"{strongest.cell.title}: advantage {points(estimate)} percentage points "
        f"({points(low)} to {points(high)})."
    )
    if standing is Standing.WORSE:
        told += f" {_mistaken(strongest.finding.nouns.goals)}"
    return [told]


def _mistaken(goals: str) -> str:
    """Says what to do where attacks do worse than guesses."""
    return (
        f"Check that the audited model is the one that learned these {goals}, and not an earlier "
        "one, that it gets all as it learned it, and give the attack a better prior."
    )


def label(standing: Standing, nouns: Nouns) -> str:
    """Says it in a few words."""
    match standing:
        case Standing.LEAK:
            return "Leak"
        case Standing.WITHIN:
            return "Leak within the limit"
        case Standing.PERSON:
            return f"A {nouns.group} stands out"
        case Standing.CLEAR:
            return "No leak shown"
        case _:
            return "Cannot tell"


# long: one sentence for each standing
def headline(standing: Standing, strongest: Judged, smallest: float | None) -> str:
    """Says the verdict in a sentence."""
    cell, finding = strongest
    nouns = finding.nouns
    who = f"an attacker {attacker(cell)}{_against(cell)}"
    found = f"{who} {nouns.recovers} {counted(strongest)}{_bits(strongest)}"
    without = f"{finding.without} {percent(finding.baseline.estimate)}"
    match standing:
        case Standing.LEAK:
            does = nouns.leaks if finding.success.estimate >= 0.5 else nouns.leaks_some
            return f"This model {does}: {found}; {without}."
        case Standing.WITHIN:
            return f"This model leaks, within the plan's limit: {found}; {without}."
        case Standing.UNSUPPORTED if finding.tells:
            return (
                "Cannot tell: the judges of this run are not good enough to tell a recognised "
                f"{nouns.goal} from a mistake."
            )
        case Standing.UNSUPPORTED:
            return f"Cannot tell: {finding.unsound[0]}."
        case Standing.WEAK:
            return f"Cannot tell: {_too_little(strongest)}; {found}."
        case Standing.WORSE:
            return (
                "Cannot tell: every attack does surely worse than guesses without the model, and "
                f"no leak would stand out; {found}; {without}."
            )
        case Standing.MISLED:
            return (
                "Cannot tell: every attack that is measured in bits is misled, as the truth is "
                f"surely less likely to it than what it is compared with; {found}; {without}."
            )
        case Standing.NARROWED:
            return (
                f"Cannot tell: no more {nouns.goals} than without the model are surely recovered, "
                f"but each is surely narrowed down; {found}; {without}."
            )
        case Standing.PERSON if finding.unsound:
            return (
                f"At least one {nouns.group} stands out. The judges of this run are not good "
                f"enough to tell how many {nouns.goals} are recognised."
            )
        case Standing.PERSON:
            start = (
                "No leak found above the baseline on average, but at least one "
                f"{nouns.group} stands out"
            )
        case _:
            start = "No leak found above the baseline"
    return (
        f"{start}: {found}; {without}, so the model adds at most "
        f"{_bare(max(strongest.advantage.high, 0.0))} percentage points.{_power(smallest)}"
    )


def _too_little(judged: Judged) -> str:
    """Says what there is too little of for any leak to stand out from chance."""
    cell, (nouns, _, success, baseline, *_) = judged
    if success.estimate == 1 and success.low > baseline.estimate:  # all, and surely more than that
        return (
            f"what comes of chance is known too badly, {percent(baseline.estimate)} with the "
            f"interval {spread(baseline)}, for any leak to stand out"
        )
    few = several(cell.goals, nouns.goal, nouns.goals)
    return f"{few} are too few for any leak to stand out from chance"


def _bits(judged: Judged) -> str:
    """Says how far the attack narrows down the truth, after what it recovers."""
    bits, finding = judged.cell.bits, judged.finding
    if bits is None or not finding.tells:
        return ""
    goal = finding.nouns.goal
    return f" and learns {amount(bits.estimate)} of {amount(bits.most)} bits of a {goal}"


def _measured(cells: Sequence[Judged]) -> list[Judged]:
    """Returns those with fit judges that say how far the attack narrows down the truth."""
    return [one for one in cells if not one.finding.unsound and bits_told([one])]


def _bits_spread(judged: Judged) -> str:
    bits = bits_told([judged])[0]
    spread = f"{amount(bits.estimate)} bits ({amount(bits.low)} to {amount(bits.high)})"
    return f"{judged.cell.title}: {spread}."


def _power(smallest: float | None) -> str:
    """Says what would have been found."""
    if smallest is None:
        return ""
    return f" A leak of {_bare(smallest)} points would have been found with a chance of 80%."


def _bare(value: float) -> str:
    return points(value).removeprefix("+")


def sentences(
    standing: Standing, strongest: Judged, cells: Sequence[Judged], sound: Sequence[Judged]
) -> list[str]:
    """Says what else must be known to read it rightly."""
    said = []
    if len(cells) > 1 and sound:
        leaking = sum(judged.advantage.low > 0 for judged in sound)
        said.append(
            f"This is the strongest of {len(cells)} cells; {leaking} of them "
            f"{'shows' if leaking == 1 else 'show'} an advantage above zero."
        )
    if sound and len(sound) < len(cells):
        said.append(
            "Left out of the verdict, for want of good judges: "
            f"{several(len(cells) - len(sound), 'cell', 'cells')}."
        )
    worst = _worst_off(strongest, cells)
    if worst:
        said.append(f"Worst-off {strongest.finding.nouns.group}: {worst}")
    if standing in (Standing.CLEAR, Standing.PERSON):
        said += _unconvinced(sound)
        said.append(
            "This speaks for the attacks, access and query budgets listed here, not for others."
        )
    return said


def _unconvinced(sound: Sequence[Judged]) -> list[str]:
    """Says that the model itself does not take what was found for anybody, if it does not."""
    found = [one.cell.confidence.median for one in sound]
    known = [median for median in found if median is not None]
    if not known or len(known) < len(found) or max(known) >= _CONVINCED:
        return []
    return [
        f"No attack convinced the model: its median confidence in what they found is at most "
        f"{percent(max(known))}. If it is surer of its own photos, more steps or rows, or a better "
        "prior, may find more."
    ]


def _worst_off(strongest: Judged, cells: Sequence[Judged]) -> str | None:
    # The law asks about any data subject, so a person who stands out anywhere comes first.
    looks = len(cells)
    for judged in sorted([strongest, *cells], key=lambda candidate: not candidate.exposed(looks)):
        worst = judged.cell.details.worst_off
        if worst is not None and judged.finding.tells:
            return worst.sentence
    return None


def by_defense(sound: Sequence[Judged]) -> list[str]:
    """Says what the strongest attack gets against each defence, when there are several."""
    names = list(dict.fromkeys(judged.cell.defense for judged in sound))
    if len(names) < 2:
        return []
    said = []
    for name in names:
        group = [judged for judged in sound if judged.cell.defense == name]
        strongest = max(group, key=strength)
        cell, finding = strongest
        start = "Without a defence" if name == "none" else f"Against {name}"
        if cell.guarded:
            start = "Behind the guard, until it refused"
        said.append(
            f"{start}, the strongest attack tried ({cell.attack}) {finding.nouns.recovers} "
            f"{counted(strongest)}{_bits(strongest)}."
        )
    return said


def limits(judged: Sequence[Judged], limit: Limit) -> str:
    """Says of each limit of the plan whether it is kept."""
    said = [_limit_sentence([one.advantage for one in judged], limit.advantage)]
    if limit.bits is not None:
        told = bits_told(judged)
        above = sum(widened(bits, len(judged)) > limit.bits for bits in told)
        kept = f"exceeded in {above} of {len(told)} cells" if above else "not surely exceeded"
        said.append(f"It allows {amount(limit.bits)} bits: {kept}.")
    if not limit.worst_off:
        said.append(f"It takes a {judged[0].finding.nouns.group} that stands out for no leak.")
    return " ".join(said)


def _limit_sentence(found: Sequence[Interval], limit: float) -> str:
    allowed = f"The plan allows an advantage of {points(limit).removeprefix('+')} percentage points"
    above = sum(one.low > limit for one in found)
    if above:
        where = f" in {above} of {len(found)} cells" if len(found) > 1 else ""
        return f"{allowed}: exceeded, the lower bound is above it{where}."
    open_ones = [one for one in found if one.high > limit]
    if not open_ones:
        return f"{allowed}: kept, and no interval reaches above it."
    highest = points(max(one.high for one in open_ones)).removeprefix("+")
    where = f" in {len(open_ones)} of {len(found)} cells" if len(found) > 1 else ""
    return (
        f"{allowed}: no lower bound is above it, but{where} the "
        f"interval reaches above it (up to {highest}), so a larger leak is not ruled out."
    )


def _against(cell: Cell) -> str:
    if cell.defense == "none":
        return ""
    if cell.guarded:
        return ", behind the guard,"
    told = " of which it is not told" if cell.attacker == "naive" else ""
    return f", against the defence {cell.defense}{told},"
