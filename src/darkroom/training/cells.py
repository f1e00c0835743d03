"""What a cell says of a model that the audit trained, whatever kind of model it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darkroom.errors import RunError, one_line
from darkroom.training.facts import Privacy, TrainingFacts


def dressed(
    cell: dict[str, Any],
    facts: TrainingFacts,
    control: TrainingFacts,
    *,
    name: str,
    paper: str,
    bound: dict[str, Any] | None,
) -> dict[str, Any]:
    """Returns a cell with the training of its model, its cost and what it guarantees.

    Args:
        cell: Of a model that was trained.
        facts: Of its training.
        control: Of the training without a defence.
        name: The defence; ``none`` for the control.
        paper: Where it comes from.
        bound: What training guarantees of this cell, if anything.
    """
    factor = facts.time_factor(control)
    parts = [part for part in (facts.defense, cell["defense"]) if part != "none"]
    training = {
        **facts.record(),
        "name": name,
        "paper": paper,
        "time_factor": factor,
        "bound": bound,
    }
    details = {**cell["details"], "training": training}
    if name != "none":
        details["threat_model"] = [*details["threat_model"], *_said(facts.defense, facts.privacy)]
    return {
        **cell,
        "defense": " + ".join(parts) or "none",
        "utility": {**cell["utility"], "training_time_factor": factor},
        "details": details,
    }


def _said(defense: str, privacy: Privacy | None) -> Sequence[str]:
    """Says in sentences how a model was trained."""
    said = [f"The model was trained with {defense}, and the attacker knows how."]
    if privacy is not None:
        said.append(
            f"Training protects one {privacy.unit} with epsilon {privacy.epsilon:.3g}"
            + (f" at delta {privacy.delta:.0e}." if privacy.delta else ".")
        )
    return said


def read_facts(file: Path) -> TrainingFacts:
    """Reads the facts of a training.

    Raises:
        RunError: If the file is damaged.
    """
    return facts_of(file, read_record(file))


def facts_of(file: Path, record: dict[str, Any]) -> TrainingFacts:
    """Reads the facts of a training out of what a file holds.

    Raises:
        RunError: If something is missing.
    """
    try:
        return TrainingFacts.of(record)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(file, error) from error


def read_record(file: Path) -> dict[str, Any]:
    """Reads what is kept beside a model.

    Raises:
        RunError: If the file is damaged.
    """
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise damaged(file, error) from error


def damaged(file: Path, error: Exception) -> RunError:
    """Returns the error for what is kept of a training and cannot be read."""
    return RunError(
        f"{file}: what is kept of a training is damaged ({one_line(error)}): remove the file, "
        "then go on with --resume"
    )
