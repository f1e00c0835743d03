"""What an audit of a language model is about: the model and the canaries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from darkroom.named import origin
from darkroom.text.canaries import Canaries
from darkroom.text.targets.base import LanguageTarget


@dataclass(frozen=True)
class TextSubject:
    """A model and the truth about it.

    Attributes:
        target: The model.
        before: The same model before it was trained on the canaries, if there is one.
        canaries: What was hidden in its training data, and the controls.
        rank_rows: Rows a canary to spend on its exact rank.
        references: Candidates drawn for each canary whose rank is not reached.
        seed: The run's.
        held_out: Lines that it was not trained on, to see what it is worth.
    """

    target: LanguageTarget
    before: LanguageTarget | None
    canaries: Canaries
    rank_rows: int
    references: int
    seed: int
    held_out: tuple[str, ...] = ()

    def digest(self) -> str:
        """Returns a hash of the models, the canaries and how they are measured."""
        parts = [
            self.target.fingerprint(),
            *origin(type(self.target)),
            "" if self.before is None else self.before.fingerprint(),
            self.canaries.commitment(),
            f"{self.rank_rows} {self.references}",
            *self.held_out,
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
