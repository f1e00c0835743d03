"""What is to be said of a training, whatever was trained."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self


class Privacy(NamedTuple):
    """What a differentially private training guarantees.

    Attributes:
        unit: What is protected: one ``photo``, all photos of one ``person``, one ``row`` or one
            ``line``.
        epsilon: What the accountant says was spent; infinite without noise.
        delta: At which.
        noise_multiplier: The noise's standard deviation over the clipping norm.
        sample_rate: The chance of a unit to be in a step.
        steps: How often the weights were changed.
    """

    unit: str
    epsilon: float
    delta: float
    noise_multiplier: float
    sample_rate: float
    steps: int


class TrainingFacts(NamedTuple):
    """What is to be said of a training.

    Attributes:
        defense: The defence with its parameters.
        seconds: How long it took.
        privacy: What it guarantees, or ``None`` for nothing.
    """

    defense: str
    seconds: float
    privacy: Privacy | None = None

    def time_factor(self, control: TrainingFacts) -> float:
        """Returns how many times longer this took than the control."""
        return self.seconds / max(control.seconds, 1e-9)

    def record(self) -> dict[str, Any]:
        """Returns the facts as JSON holds them."""
        privacy = None if self.privacy is None else self.privacy._asdict()
        if privacy is not None and math.isinf(privacy["epsilon"]):
            privacy["epsilon"] = None
        return {"defense": self.defense, "seconds": self.seconds, "privacy": privacy}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Reads what :meth:`record` returned.

        Raises:
            KeyError: If something is missing.
            TypeError: If something is of the wrong kind.
        """
        privacy = record["privacy"]
        if privacy is not None:
            epsilon = privacy["epsilon"]
            privacy = Privacy(**{**privacy, "epsilon": math.inf if epsilon is None else epsilon})
        return cls(str(record["defense"]), float(record["seconds"]), privacy)
