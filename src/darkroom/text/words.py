"""What a cell of a language model says in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from darkroom.access import LanguageAccess
from darkroom.auditing.record import WorstOff
from darkroom.text.record import CanaryRecord
from darkroom.text.subject import TextSubject

if TYPE_CHECKING:
    from darkroom.text.cell_plan import TextCellPlan


def threat_model(plan: TextCellPlan, subject: TextSubject) -> tuple[str, ...]:
    """Says in sentences what the attacker has."""
    formats = "; ".join(
        f"{one.describe()}, {one.bits:.1f} bits" for one in subject.canaries.formats
    )
    known = (
        f"The attacker knows the sentence around each secret, and its format: {formats}.",
        "The attacker does not know which secrets were in the training data.",
    )
    return attacker(plan, subject.target.name, known)


def attacker(plan: TextCellPlan, name: str, known: Sequence[str]) -> tuple[str, ...]:
    """Says in sentences what an attacker asks, knows and meets.

    Args:
        plan: What is run.
        name: The model's.
        known: What the attacker knows, in sentences.
    """
    budget = "without limit" if plan.budget is None else f"{plan.budget} times a secret at most"
    sees = {
        LanguageAccess.WEIGHTS: f"holds the weights of {name} and runs it {budget}",
        LanguageAccess.LOGPROBS: f"asks {name} for log-probabilities of any text {budget}",
        LanguageAccess.TOP_K: f"asks {name} for the likeliest next tokens {budget}",
        LanguageAccess.SAMPLES: f"asks {name} for continuations, as text alone, {budget}",
    }[plan.access]
    knows = "is not told of, taking answers for the model's own" if plan.naive else "knows"
    behind = [f"Answers pass the defence {plan.defense.name}, which the attacker {knows}."]
    return (
        f"The attacker {sees}; a query is one text read by the model.",
        *known,
        *(behind if plan.defense.defenses else []),
        *(() if plan.naive else plan.defense.effect.caveats),
    )


def worst_off(rows: Sequence[CanaryRecord]) -> WorstOff | None:
    """Returns the canary that is exposed most, corrected for having looked at all."""
    measured = [row for row in rows if row.exposure is not None and row.repetitions]
    if not measured:
        return None

    def chance(row: CanaryRecord) -> tuple[float, float]:
        assert row.exposure is not None
        assert row.p_value is not None
        return row.p_value, -row.exposure.bits

    worst = min(measured, key=chance)
    p_value, exposure = chance(worst)
    assert worst.p_adjusted is not None
    seen = "once" if worst.repetitions == 1 else f"{worst.repetitions} times"
    sentence = (
        f"the secret of {worst.owner} ({worst.masked}), seen {seen} in training: exposure "
        f"{-exposure:.1f} of {worst.candidates:.1f} bits"
        f"{', extracted' if worst.extracted else ''} (p = {p_value:.2g}; "
        f"{worst.p_adjusted:.2g} after Holm's correction for {len(rows)} secrets)."
    )
    # A secret known by heart is the first of all candidates, and counts as one of so many; of
    # several formats, one of the smallest stands out least.
    alone = (min(1.0, len(rows) * 2.0 ** -min(row.candidates for row in measured)),)
    return WorstOff(name=worst.owner, p_adjusted=worst.p_adjusted, sentence=sentence, alone=alone)
