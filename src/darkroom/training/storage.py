"""Trained models in a run's folder: the model in one file, the facts of its training in another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from darkroom.auditing.record import Record, TrainingFacts
from darkroom.errors import RunError, one_line
from darkroom.files import write_private


class Kept(Record):
    """What is kept beside a trained model: the facts of its training, and a hash of its file."""

    facts: TrainingFacts
    sha256: str


class StoredModel(NamedTuple):
    """Where a trained model is, or will be.

    Attributes:
        file: The model.
    """

    file: Path

    @property
    def facts_file(self) -> Path:
        """The facts and the model's hash; written last, so a model with them is whole."""
        return self.file.with_suffix(".json")

    def exists(self) -> bool:
        """Tells whether the model is there."""
        return self.facts_file.exists()

    def write(self, content: bytes, facts: TrainingFacts) -> None:
        """Writes the model, then the facts, for their owner alone.

        Raises:
            RunError: If the folder cannot be written to.
        """
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.file, content)
        kept = Kept(facts=facts, sha256=hashlib.sha256(content).hexdigest())
        write_private(self.facts_file, kept.model_dump_json().encode())

    def facts(self) -> TrainingFacts:
        """Reads the facts of the training.

        Raises:
            RunError: If the file is damaged.
        """
        return self._kept().facts

    def _kept(self) -> Kept:
        try:
            return Kept.model_validate_json(self.facts_file.read_bytes(), strict=True)
        except (OSError, ValidationError) as error:
            raise damaged(self.facts_file, error) from error

    def checked(self) -> Path:
        """Returns the model's file, which holds what was written.

        Raises:
            RunError: If it holds something else.
        """
        if self.file.is_file() and self._kept().sha256 == _hash(self.file):
            return self.file
        raise RunError(
            f"{self.file}: not the model that was trained: remove it and {self.facts_file.name}, "
            "then go on with --resume"
        )


def damaged(file: Path, error: Exception) -> RunError:
    """Returns the error for what is kept of a training and cannot be read."""
    return RunError(
        f"{file}: what is kept of a training is damaged ({one_line(error)}): remove the file, "
        "then go on with --resume"
    )


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
