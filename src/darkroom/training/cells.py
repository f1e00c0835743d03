"""What a cell says of a model that the audit trained, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from darkroom.auditing.record import Bound, Cell, Privacy, Training, TrainingFacts
from darkroom.errors import RunError, one_line

C = TypeVar("C", bound=Cell)


def dressed(
    cell: C,
    facts: TrainingFacts,
    control: TrainingFacts,
    *,
    name: str,
    paper: str,
    bound: Bound | None,
) -> C:
    """Returns a cell with the training of its model, its cost and what it guarantees.

    Args:
        cell: Of a model that was trained.
        facts: Of its training.
        control: Of the training without a defence.
        name: The defence; ``none`` for the control.
        paper: Where it comes from.
        bound: What training guarantees of this cell, if anything.
    """
    training = Training(
        defense=facts.defense,
        seconds=facts.seconds,
        privacy=facts.privacy,
        name=name,
        paper=paper,
        time_factor=facts.times_longer_than(control),
        bound=bound,
    )
    said = () if name == "none" else _said(facts.defense, facts.privacy)
    details = cell.details.model_copy(
        update={"training": training, "threat_model": (*cell.details.threat_model, *said)}
    )
    parts = [part for part in (facts.defense, cell.defense) if part != "none"]
    return cell.model_copy(update={"defense": " + ".join(parts) or "none", "details": details})


def _said(defense: str, privacy: Privacy | None) -> Sequence[str]:
    """Says in sentences how a model was trained."""
    said = [f"The model was trained with {defense}, and the attacker knows how."]
    if privacy is not None:
        said.append(
            f"Training protects one {privacy.unit} with epsilon {privacy.epsilon:.3g}"
            + (f" at delta {privacy.delta:.0e}." if privacy.delta else ".")
        )
    return said


def damaged(file: Path, error: Exception) -> RunError:
    """Returns the error for what is kept of a training and cannot be read."""
    return RunError(
        f"{file}: what is kept of a training is damaged ({one_line(error)}): remove the file, "
        "then go on with --resume"
    )
