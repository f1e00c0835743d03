"""The language models of an audit: the one that is given, or several that the audit trains."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Bound, Chance, Privacy, TrainingFacts
from darkroom.files import write_private
from darkroom.named import describe, identity
from darkroom.statistics.reconstruction_bound import Mechanism, reconstruction_bound
from darkroom.text.formats.secrets import Card, Email, Pattern, SecretFormat
from darkroom.text.record import TextCell
from darkroom.text.subject import TextSubject
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.training.corpus import Deduplication, Scrubbing
from darkroom.text.training.private import PrivateText
from darkroom.text.training.recipe import TextRecipe, TextTraining, UndefendedText
from darkroom.training.cells import damaged, dressed


class TextModel(ABC):
    """One model under audit, which may have to be made first."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash of all that decides the model, and of the canaries."""

    @abstractmethod
    def open(self, reporter: Reporter) -> TextSubject:
        """Returns the model with the truth about it."""

    def dress(self, cell: TextCell) -> TextCell:
        """Returns a cell of this model with what is to be said of the model."""
        return cell


@dataclass(frozen=True)
class GivenTextModel(TextModel):
    """The model that a plan names, as it is.

    Attributes:
        subject: The model and the canaries.
    """

    subject: TextSubject

    @cached_property
    def digest(self) -> str:
        """A hash of the models and the canaries."""
        return self.subject.digest()

    def open(self, reporter: Reporter) -> TextSubject:  # noqa: ARG002
        """Returns the subject as it is."""
        return self.subject


@dataclass(frozen=True)
class TrainedTextModel(TextModel):
    """A model that the audit trains on the lines of a corpus with canaries in it.

    Its weights are kept in the run's folder, with the facts of its training, so that a run that is
    resumed trains nothing twice.

    Attributes:
        subject: The model that training starts from, a causal ``TransformersTarget``, and the
            canaries.
        lines: The corpus.
        defense: What is done to the lines, or to the training.
        recipe: How every model but private ones is trained.
        seed: The run's.
        folder: Where weights are kept.
    """

    subject: TextSubject
    lines: tuple[str, ...]
    defense: TextTraining
    recipe: TextRecipe
    seed: int
    folder: Path

    @cached_property
    def digest(self) -> str:
        """A hash of the model before, of the lines and of how it is trained."""
        words = [
            identity(self.defense),
            vars(self.recipe),
            self.seed,
            self.lines,
        ]
        together = self.subject.digest() + json.dumps(words, sort_keys=True)
        return hashlib.sha256(together.encode()).hexdigest()

    @property
    def weights(self) -> Path:
        """Where the trained weights are, or will be."""
        return self.folder / f"{self.digest[:16]}.safetensors"

    @cached_property
    def control(self) -> TrainedTextModel:
        """The same model, trained without a defence."""
        return replace(self, defense=UndefendedText())

    def open(self, reporter: Reporter) -> TextSubject:
        """Returns the trained model with the truth; trains it, and its control, where missing.

        Raises:
            DarkroomError: If it cannot be trained, or its weights cannot be kept or read.
        """
        if self.defense != UndefendedText() and not self.control.weights.exists():
            self.control.open(reporter)
        if not self.weights.exists():
            with reporter.stage(f"Training with {self.defense.name}") as advance:
                self._keep(*self._train(advance))
        tensors, _ = _read(self.weights)
        model = copy.deepcopy(self._base.model)
        model.load_state_dict(tensors)
        return replace(self.subject, target=self._base.with_model(model))

    def dress(self, cell: TextCell) -> TextCell:
        """Names the training in a cell, with its cost and what it guarantees."""
        facts, control = _read(self.weights)[1], _read(self.control.weights)[1]
        return dressed(
            cell,
            facts,
            control,
            name=self.defense.name,
            paper=self.defense.paper,
            bound=self._bound(facts.privacy, cell),
        )

    def _bound(self, privacy: Privacy | None, cell: TextCell) -> Bound | None:
        """Bounds the chance to extract a secret by how often it was in the corpus.

        Returns:
            The chance without the model, one in as many as there are candidates; the bound for
            each number of repetitions; and whether success in this cell is surely above their mean.
        """
        if privacy is None:
            return None
        inserted = self.subject.canaries.inserted
        baseline = 1 / self.subject.canaries.secrets.size
        chances = dict.fromkeys(sorted({one.repetitions for one in inserted}), 1.0)
        if privacy.noise_multiplier > 0:
            noise = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
            chances = {k: reconstruction_bound(baseline, noise, records=k) for k in chances}
        mean = float(np.mean([chances[one.repetitions] for one in inserted]))
        return Bound(
            baseline=baseline,
            chances=tuple(
                Chance(about="secret", examples=count, most=most) for count, most in chances.items()
            ),
            exceeded=cell.success.low > mean,
        )

    @property
    def _base(self) -> TransformersTarget:
        target = self.subject.target
        assert isinstance(target, TransformersTarget), "the plan has checked this"
        return target

    def _train(self, advance: Callable[[int, int], None]) -> tuple[Any, TrainingFacts]:
        began = time.perf_counter()
        lines, privacy = list(self.lines), None
        if isinstance(self.defense, Scrubbing):
            knowing = self.defense.knowing(formats_of(self.subject.canaries.secrets))
            lines = knowing.clean(lines).lines
        elif isinstance(self.defense, Deduplication):
            lines = self.defense.clean(lines).lines
        ids, present = self._base.tokens_of(lines)
        rng = np.random.default_rng([self.seed, 7])
        if isinstance(self.defense, PrivateText):
            model, privacy = self.defense.train(
                self._base.model, ids, present, rng=rng, on_progress=advance
            )
        else:
            model = self.recipe.train(self._base.model, ids, present, rng=rng, on_progress=advance)
        seconds = time.perf_counter() - began
        facts = TrainingFacts(defense=describe(self.defense), seconds=seconds, privacy=privacy)
        return model, facts

    def _keep(self, model: Any, facts: TrainingFacts) -> None:
        """Writes weights and facts in one piece."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Tensors that share memory are written apart, each whole.
        tensors = {
            name: value.detach().cpu().clone().contiguous()
            for name, value in model.state_dict().items()
        }
        write_private(self.weights, save(tensors, metadata={"facts": facts.model_dump_json()}))


def formats_of(secrets: SecretFormat) -> tuple[str, ...]:
    """Returns the format of secrets as a scrubber takes it.

    Args:
        secrets: The format; of a list, its words.
    """
    spec = secrets.spec
    if isinstance(spec, Card | Email):
        return (spec.kind,)
    if isinstance(spec, Pattern):
        # A scrubber takes no groups that keep what they match; an escaped bracket is none.
        inside = re.sub(r"(\\.|\[(?:\\.|[^\]])*\])|\((?!\?)", lambda m: m[1] or "(?:", spec.pattern)
    else:
        longest_first = sorted(spec.words, key=len, reverse=True)
        inside = "|".join(re.escape(word) for word in longest_first)
    return (rf"(?<!\w)(?:{inside})(?!\w)",)


def _read(file: Path) -> tuple[dict[str, Tensor], TrainingFacts]:
    """Reads weights and facts.

    Raises:
        RunError: If the file is damaged.
    """
    try:
        with safe_open(file, "pt") as opened:
            tensors: dict[str, torch.Tensor] = {
                name: opened.get_tensor(name)
                for name in opened.keys()  # noqa: SIM118
            }
            facts = opened.metadata()["facts"]
            return tensors, TrainingFacts.model_validate_json(facts, strict=True)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(file, error) from error
