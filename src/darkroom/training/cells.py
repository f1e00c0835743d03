"""What a cell says of a model that the audit trained, whatever kind of model it is."""

from __future__ import annotations

from typing import Any, TypeVar

from darkroom.auditing.record import Bound, Cell, Training, TrainingFacts
from darkroom.training.defense import TrainingDefense

C = TypeVar("C", bound=Cell)


def dressed(
    cell: C,
    facts: TrainingFacts,
    control: TrainingFacts,
    defense: TrainingDefense[Any, Any],
    bound: Bound | None,
    beside: tuple[str, ...] = (),
) -> C:
    """Returns a cell with the training of its model, its cost and what it guarantees.

    Args:
        cell: Of a model that was trained.
        facts: Of its training.
        control: Of the training without a defence.
        defense: It was trained with.
        bound: What training guarantees of this cell, if anything.
        beside: Sentences on what the guarantee leaves out.
    """
    training = Training(
        **dict(facts),
        name=defense.name,
        paper=defense.paper,
        time_factor=facts.times_longer_than(control),
        bound=bound,
    )
    said = () if defense.is_control else (*_said(facts), *beside)
    details = cell.details.model_copy(
        update={"training": training, "threat_model": (*cell.details.threat_model, *said)}
    )
    parts = [part for part in (facts.defense, cell.defense) if part != "none"]
    return cell.model_copy(update={"defense": " + ".join(parts) or "none", "details": details})


def _said(facts: TrainingFacts) -> list[str]:
    """Says in sentences how a model was trained."""
    said = [f"The model was trained with {facts.defense}, and the attacker knows how."]
    if facts.privacy is not None:
        privacy = facts.privacy
        at = f" at delta {privacy.delta:.0e}" if privacy.delta else ""
        said.append(f"Training protects one {privacy.unit} with epsilon {privacy.epsilon:.3g}{at}.")
    return said
