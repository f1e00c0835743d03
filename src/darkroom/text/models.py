"""How an audit trains language models, and what that guarantees of secrets."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from darkroom.auditing.record import Bound, Chance, Privacy
from darkroom.statistics.reconstruction_bound import Mechanism, reconstruction_bound
from darkroom.text.formats.personal import Address, Date, Iban, Name
from darkroom.text.formats.secrets import Card, Email, Pattern, SecretFormat, Words
from darkroom.text.formats.spec import Spec
from darkroom.text.record import TextCell
from darkroom.text.subject import TextSubject
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.training.base import UndefendedText
from darkroom.text.training.course import TextCourse, TextRecipe
from darkroom.training.defense import Advance, TrainingDefense
from darkroom.training.models import Trainer
from darkroom.training.modules import load_weights, weights_of


@dataclass(frozen=True)
class TextTrainer(Trainer[TextSubject, Any, TextCell]):
    """Trains a language model further on the lines of a corpus with canaries in it.

    Attributes:
        subject: The model that training starts from, a causal ``TransformersTarget``, and the
            canaries.
        lines: The corpus.
        recipe: How every model but private ones is trained.
        seed: The run's.
    """

    control: ClassVar[TrainingDefense[Any, Any]] = UndefendedText()
    suffix: ClassVar[str] = "safetensors"

    subject: TextSubject
    lines: tuple[str, ...]
    recipe: TextRecipe
    seed: int

    def words(self) -> list[Any]:
        """Returns recipe and corpus as JSON holds them; see :meth:`Trainer.words`."""
        return [vars(self.recipe), self.lines]

    def course(self, advance: Advance) -> TextCourse:
        """Returns model, lines, recipe and the secrets' format; see :meth:`Trainer.course`."""
        return TextCourse(
            model=self._base.model,
            lines=self.lines,
            tokens_of=self._base.tokens_of,
            seed=self.torch_seed(),
            formats=formats_of(self.subject.canaries.formats),
            recipe=self.recipe,
            advance=advance,
        )

    def dump(self, model: Any) -> bytes:
        """Returns the weights as safetensors; see :meth:`Trainer.dump`."""
        return weights_of(model)

    def load(self, defense: TrainingDefense[Any, Any], file: Path) -> TextSubject:  # noqa: ARG002
        """Puts weights into a copy of the model; see :meth:`Trainer.load`."""
        model = copy.deepcopy(self._base.model)
        load_weights(model, file)
        return replace(self.subject, target=self._base.with_model(model))

    def bound(self, privacy: Privacy, cell: TextCell) -> Bound:
        """Bounds the chance to extract a secret by how often it was in the corpus.

        Returns:
            The chance without the model, one in as many as there are candidates; the bound for
            each number of repetitions; and whether success in this cell is surely above their mean.
        """
        inserted = self.subject.canaries.inserted
        # Of several formats, secrets of the smallest are the easiest to guess.
        baseline = 1 / min(one.size for one in self.subject.canaries.formats)
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


def formats_of(formats: Sequence[SecretFormat]) -> tuple[str, ...]:
    """Returns formats of secrets as a scrubber takes them.

    Args:
        formats: The formats; of a list, its words.
    """
    return tuple(dict.fromkeys(_scrubbed(one.spec) for one in formats))


def _scrubbed(spec: Spec) -> str:
    if isinstance(spec, Card | Email):
        return spec.kind
    if isinstance(spec, Pattern):
        # A scrubber takes no groups that keep what they match; an escaped bracket is none.
        inside = re.sub(r"(\\.|\[(?:\\.|[^\]])*\])|\((?!\?)", lambda m: m[1] or "(?:", spec.pattern)
    elif isinstance(spec, Iban | Date | Name | Address):
        inside = spec.expression()
    else:
        assert isinstance(spec, Words), "the formats of canaries are no others"
        longest_first = sorted(spec.words, key=len, reverse=True)
        inside = "|".join(re.escape(word) for word in longest_first)
    return rf"(?<!\w)(?:{inside})(?!\w)"
