"""Training defences that the lab offers, with their parameters; imports no PyTorch."""

from __future__ import annotations

from typing import Literal

TrainingName = Literal["none", "dp-sgd", "uniform-confidence"]

SETTINGS: dict[TrainingName, dict[str, float | bool]] = {
    # Batch normalisation mixes photos, of which DP-SGD must tell each apart.
    "dp-sgd": {"epsilon": 8.0, "group_norm": True},
    "uniform-confidence": {},
}
