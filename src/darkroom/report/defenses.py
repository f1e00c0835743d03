"""Which defence holds, at what price: leak against accuracy, dominated defences, the best mix.

Only what a run measured is judged. A defence is worth what the strongest attack of the run left of
it: an attack that was not told of the defence counts in a column of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from darkroom.auditing.record import Bits, Cell, Cost, Interval, Utility
from darkroom.errors import PlanError
from darkroom.report.wording import percent, points, several

NONE = "none"


class Measure(NamedTuple):
    """What says of a kind of model what it is worth.

    Attributes:
        field: Its place in :class:`Utility`.
        name: What it is called in running text.
        heading: What its column is called.
        sign: 1 where more is better, -1 where less is.
    """

    field: str
    name: str
    heading: str
    sign: int

    def value(self, utility: Utility) -> float | None:
        """Returns the figure; ``None`` where it was not measured."""
        found: float | None = getattr(utility, self.field)
        return found

    def worth(self, utility: Utility) -> float | None:
        """Returns the figure so that larger is better."""
        found = self.value(utility)
        return None if found is None else self.sign * found

    def written(self, utility: Utility) -> str:
        """Returns the figure in words; a dash where it was not measured."""
        found = self.value(utility)
        if found is None:
            return "\N{EN DASH}"
        return percent(found) if self.sign > 0 else f"{found:.3g}"


ACCURACY = Measure("accuracy", "accuracy", "Accuracy", 1)

MEASURES = (
    ACCURACY,
    Measure("mean_absolute_error", "mean absolute error", "Error", -1),
    Measure("perplexity", "perplexity", "Perplexity", -1),
)
"""Of classifiers, of models of numbers, and of language models."""


def measure_of(*utilities: Utility) -> Measure:
    """Returns the measure that any of some models has; accuracy where none has any."""
    for measure in MEASURES:
        if any(measure.value(one) is not None for one in utilities):
            return measure
    return ACCURACY


class Match(NamedTuple):
    """One attack against one defence, told and not told of it.

    Attributes:
        defense: The defence.
        attack: The attack as the plan names it.
        access: What a query returned to the adaptive attacker, or to the naive one alone.
        naive: The cell of the attacker who is not told; ``None`` where it was not run.
        adaptive: The cell of the attacker who knows; ``None`` where it was not run. Where the
            defence leaves the attack too little, that of the attack that stands in for it.
    """

    defense: str
    attack: str
    access: str
    naive: Cell | None
    adaptive: Cell | None

    @property
    def cell(self) -> Cell:
        """The adaptive cell, or the naive one where there is no other."""
        one = self.adaptive or self.naive
        assert one is not None
        return one


class Standing(NamedTuple):
    """What a run says of one defence against attackers who see answers.

    Attributes:
        defense: Its name; ``none`` for none.
        leak: The largest advantage that any attacker had, adaptive or naive.
        by: The cell in which that was.
        bits: The most bits that any attacker gained; ``None`` where none was measured.
        naive: The largest advantage of naive attackers; ``None`` where none was run.
        adaptive: The largest of adaptive ones; ``None`` where none was run.
        utility: What the model is worth behind it.
        cost: What it adds to a query.
        attacks: The attacks that met it, by name and access as undefended.
    """

    defense: str
    leak: Interval
    by: Cell
    bits: Bits | None
    naive: Interval | None
    adaptive: Interval | None
    utility: Utility
    cost: Cost | None
    attacks: frozenset[str]

    @property
    def worth(self) -> float | None:
        """Accuracy, or minus an error or a perplexity; larger is better. ``None`` if it is dead."""
        if self.utility.dead is not None:
            return None
        return measure_of(self.utility).worth(self.utility)


def judged(cells: Sequence[Cell]) -> list[Cell]:
    """Returns the cells that tell one defence from another.

    No output defence concerns who has the weights, so those attackers are left out, unless they met
    every defence of the run: then all of these are in the training. Cells behind a guard are left
    out in any case: it is no defence of answers.

    Args:
        cells: Of one run.
    """
    cells = [cell for cell in cells if not cell.guarded]
    names = {cell.defense for cell in cells}
    holding = {cell.defense for cell in cells if cell.access == "weights"}
    if len(names) > 1 and holding == names:
        return cells
    return [cell for cell in cells if cell.access != "weights"]


def matches(cells: Sequence[Cell]) -> tuple[Match, ...]:
    """Pairs the cells of attackers who know a defence with those of attackers who do not.

    Args:
        cells: Of a run, in order; undefended ones are left out, and see :func:`judged`.
    """
    behind = [cell for cell in judged(cells) if cell.defense != NONE]
    told = [cell for cell in behind if cell.attacker == "adaptive"]
    used: set[str] = set()
    found = []
    for cell in (one for one in behind if one.attacker == "naive"):
        partner = _partner(cell, told)
        if partner is not None:
            used.add(partner.key)
        access = cell.access if partner is None else partner.access
        found.append(Match(cell.defense, cell.attack, access, cell, partner))
    found += [
        Match(cell.defense, cell.attack, cell.access, None, cell)
        for cell in told
        if cell.key not in used
    ]
    order = list(dict.fromkeys(cell.defense for cell in behind))
    return tuple(sorted(found, key=lambda one: order.index(one.defense)))


def _partner(naive: Cell, told: Sequence[Cell]) -> Cell | None:
    """Returns what the attack of a naive cell does once it knows, or what stands in for it."""
    same = [one for one in told if one.defense == naive.defense and one.prior == naive.prior]
    for name in (naive.attack, "auto"):
        chosen = [one for one in same if one.attack == name]
        if chosen:
            equal = [one for one in chosen if one.access == naive.access]
            return (equal or chosen)[0]
    return None


def standings(cells: Sequence[Cell]) -> tuple[Standing, ...]:
    """Sums up each defence of a run by the strongest attack on it, none first.

    Args:
        cells: Of one run; see :func:`judged`.
    """
    asking = judged(cells)
    names = list(dict.fromkeys(cell.defense for cell in asking))
    names.sort(key=lambda name: name != NONE)
    return tuple(
        _standing(name, [cell for cell in asking if cell.defense == name]) for name in names
    )


def _standing(name: str, cells: Sequence[Cell]) -> Standing:
    strongest = max(cells, key=_leak)

    def largest(attacker: str) -> Interval | None:
        chosen = [cell for cell in cells if cell.attacker == attacker]
        return max(chosen, key=_leak).advantage if chosen else None

    return Standing(
        defense=name,
        leak=strongest.advantage,
        by=strongest,
        bits=max(
            (cell.bits for cell in cells if cell.bits is not None),
            key=lambda one: one.estimate,
            default=None,
        ),
        naive=largest("naive"),
        adaptive=largest("adaptive"),
        utility=strongest.utility,
        cost=next((cell.cost for cell in cells if cell.cost is not None), None),
        attacks=frozenset(f"{cell.attack} {cell.prior}" for cell in cells),
    )


def _leak(cell: Cell) -> tuple[float, float]:
    return cell.advantage.estimate, cell.advantage.low


def dominators(all_of: Sequence[Standing]) -> dict[str, str]:
    """Returns for each dominated defence one that leaks no more and is worth no less.

    One of the two differs; of equals, neither dominates. No defence is one of those compared.

    Args:
        all_of: A run's; those of unknown worth, and dead ones, are left out.
    """
    known = [one for one in all_of if one.worth is not None]
    found = {}
    for one in known:
        better = [other for other in known if _beats(other, one)]
        if better:
            best = min(better, key=lambda other: (other.leak.estimate, -(other.worth or 0.0)))
            found[one.defense] = best.defense
    return found


def _beats(one: Standing, other: Standing) -> bool:
    assert one.worth is not None
    assert other.worth is not None
    mine, theirs = (-one.leak.estimate, one.worth), (-other.leak.estimate, other.worth)
    return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


class Recommendation(NamedTuple):
    """What to switch on.

    Attributes:
        chosen: The defence that leaks least within the limit, or ``None`` if none keeps it.
        undefended: How the model stands without.
        within: Those that keep the limit, the least leak first.
        beyond: Those that do not, whose worth was not measured, or which are dead.
        limit: The accuracy that may be lost, or the share by which an error or a perplexity may
            grow.
    """

    chosen: Standing | None
    undefended: Standing
    within: tuple[Standing, ...]
    beyond: tuple[Standing, ...]
    limit: float

    @property
    def sentence(self) -> str:
        """The recommendation in words."""
        measure = measure_of(self.undefended.utility)
        allowed = (
            f"an accuracy loss of at most {points(self.limit).removeprefix('+')} points"
            if measure.sign > 0
            else f"a {measure.name} that grows by at most {percent(self.limit)}"
        )
        if self.chosen is None:
            return f"No measured defence keeps {allowed}: measure others, or allow more."
        plain, one = self.undefended, self.chosen
        if one.defense == NONE:
            return (
                f"No measured defence within {allowed} leaks less than none, which leaves an "
                f"advantage of {points(plain.leak.estimate)} points ({plain.by.attack}): limit "
                "queries, or train a defended model."
            )
        return (
            f"Switch on {one.defense}: of the measured defences with {allowed} it leaves the "
            f"least, an advantage of {points(one.leak.estimate)} points "
            f"({points(one.leak.low)} to {points(one.leak.high)}, by {one.by.attack}) in place of "
            f"{points(plain.leak.estimate)} undefended{self._worth()}."
            + ("" if one.leak.low <= 0 else " That is still a leak.")
        )

    def _worth(self) -> str:
        assert self.chosen is not None
        before, after = self.undefended.utility, self.chosen.utility
        measure = measure_of(before)
        if measure.value(before) is None or measure.value(after) is None:
            return ""
        said = f"at {measure.written(after)} {measure.name}"
        if measure.sign < 0:
            said = f"at a {measure.name} of {measure.written(after)}"
        return f", {said} in place of {measure.written(before)}"

    @property
    def caution(self) -> str:
        """What was not judged, in words."""
        measured = several(len(self.within) + len(self.beyond) - 1, "defence was", "defences were")
        fewer = [
            one.defense
            for one in (*self.within, *self.beyond)
            if one.defense != NONE and len(one.attacks) < len(self.undefended.attacks)
        ]
        missing = (
            f" Fewer attacks met {', '.join(fewer)} than the model undefended." if fewer else ""
        )
        dead = dead_sentence([*self.within, *self.beyond])
        return (
            f"{measured} measured in this run; mixes, settings and attacks that it did not "
            f"measure are not judged.{missing} {dead}"
        ).rstrip()

    def record(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {
            "recommended": None if self.chosen is None else self.chosen.defense,
            "max_accuracy_loss": self.limit,
            "sentence": self.sentence,
            "caution": self.caution,
            "within": [_record(one) for one in self.within],
            "beyond": [_record(one) for one in self.beyond],
        }


def _record(one: Standing) -> dict[str, Any]:
    return {
        "defense": one.defense,
        "leak": one.leak.model_dump(),
        "strongest_attack": one.by.attack,
        "bits": None if one.bits is None else one.bits.model_dump(),
        "naive": None if one.naive is None else one.naive.model_dump(),
        "adaptive": None if one.adaptive is None else one.adaptive.model_dump(),
        "utility": one.utility.model_dump(exclude_none=True),
        "cost": None if one.cost is None else one.cost.model_dump(),
    }


def dead_sentence(all_of: Sequence[Standing]) -> str:
    """Names the defences behind which a model is of no use; empty where there is none."""
    found = [f"{one.defense} ({one.utility.dead})" for one in all_of if one.utility.dead]
    return f"Dead, which is no defence: {', '.join(found)}." if found else ""


def recommend(cells: Sequence[Cell], loss: float) -> Recommendation:
    """Names the measured defence that leaks least and keeps a limit.

    Args:
        cells: Of one run.
        loss: The largest loss of accuracy, in [0, 1]; for models of numbers, the largest growth of
            the mean absolute error or of the perplexity, as a share of it.

    Raises:
        PlanError: If the run has no undefended cell of an attacker who asks the model, no defended
            one, or nothing that tells what the model is worth.
    """
    all_of = standings(cells)
    if not all_of or all_of[0].defense != NONE:
        raise PlanError(
            "this run has no undefended attack on answers to compare with: audit a plan with an "
            "[[attack]] that needs no weights"
        )
    plain, *others = all_of
    if not others:
        raise PlanError("this run has no defences: add [[defense]] or [[training]] to its plan")
    if plain.utility.dead is not None:
        raise PlanError(
            f"the undefended model is of no use, so no defence can be recommended: "
            f"{plain.utility.dead}"
        )
    if plain.worth is None:
        raise PlanError(
            "this run did not measure what the model is worth: hold out photos or rows that it was "
            "not trained on ([private] trained_on), or lines ([private] held_out)"
        )
    # Accuracy is lost in points; an error grows by a share of itself.
    least = plain.worth - loss * (1.0 if plain.worth >= 0 else -plain.worth)
    kept = [one for one in all_of if one.worth is not None and one.worth >= least - 1e-12]
    kept.sort(key=lambda one: (one.leak.estimate, one.leak.high, -(one.worth or 0.0)))
    lost = tuple(one for one in all_of if one not in kept)
    chosen = kept[0] if kept else None
    # What is no better than nothing is not worth switching on.
    if chosen is not None and chosen.leak.estimate >= plain.leak.estimate:
        chosen = plain
    return Recommendation(chosen, plain, tuple(kept), lost, loss)
