"""All training defences for language models by name."""

from __future__ import annotations

from darkroom.named import Registry
from darkroom.text.training.base import TextTraining, UndefendedText
from darkroom.text.training.corpus import Deduplication, Scrubbing
from darkroom.text.training.private import PrivateText

TEXT_TRAINING_DEFENSES: Registry[TextTraining] = Registry(
    "training defence",
    TextTraining,
    UndefendedText,
    Deduplication,
    Scrubbing,
    PrivateText,
    group="darkroom.training_defenses",
)
