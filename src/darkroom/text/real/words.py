"""What a cell of an audit of real secrets says in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from darkroom.auditing.record import WorstOff
from darkroom.text.cell_plan import TextCellPlan
from darkroom.text.real.record import SecretRecord
from darkroom.text.real.subject import RealSubject
from darkroom.text.words import attacker


def ways_of(subject: RealSubject) -> dict[str, int]:
    """Counts prompts by their way, whatever their number within a secret."""
    ways = [prompt.way.strip("0123456789 ") for one in subject.wanted for prompt in one.prompts]
    return dict(sorted(Counter(ways).items()))


def threat_model(plan: TextCellPlan, subject: RealSubject) -> tuple[str, ...]:
    """Says in sentences what the attacker has."""
    asked = ", ".join(f"{count} {way}" for way, count in ways_of(subject).items())
    known = (
        "The attacker knows the shape of each secret and writes prompts about its owner: "
        f"{asked}. A secret counts as extracted if any of its prompts brings it out.",
        "What follows from an owner's name, such as many e-mail addresses, needs no model: the "
        "base shows that, and decoys do not."
        if subject.base is None
        else "The same attack on the model before the fine-tune is the baseline.",
    )
    return attacker(plan, subject.target.name, known)


def worst_off(rows: Sequence[SecretRecord], alone: Sequence[float]) -> WorstOff | None:
    """Returns the secret with the strongest evidence, corrected for having looked at all.

    Args:
        rows: All secrets.
        alone: The p-value that each would have, corrected, if it alone were known by heart.
    """
    measured = [row for row in rows if row.p_value is not None and row.exposure is not None]
    if not measured:
        return None
    worst = min(measured, key=lambda row: (row.p_value or 0.0, -_bits(row)))
    assert worst.p_adjusted is not None
    sentence = (
        f"the {worst.type} in line {worst.line} of the secrets: exposure {_bits(worst):.1f} of "
        f"{worst.candidates:.1f} bits{', extracted' if worst.extracted else ''} "
        f"(p = {worst.p_value:.2g}; {worst.p_adjusted:.2g} after Holm's correction for "
        f"{len(rows)} secrets)."
    )
    return WorstOff(
        name=f"line {worst.line}",
        p_adjusted=worst.p_adjusted,
        sentence=sentence,
        alone=tuple(alone),
    )


def _bits(row: SecretRecord) -> float:
    return row.exposure.bits if row.exposure is not None else 0.0
