"""What a training of a language model works on: a model, lines, and how it is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from darkroom.errors import DataError
from darkroom.training.defense import Advance, Course, ignore
from darkroom.training.modules import seeded

TokensOf = Callable[[Sequence[str]], tuple[Tensor, Tensor]]
"""Turns lines into tokens, padded behind, int64 ``(lines, length)``, and which are no padding."""


@dataclass(frozen=True)
class TextRecipe:
    """Training without privacy: AdamW, one rise and fall of the rate, gradients cut at norm one.

    Attributes:
        epochs: Passes over the lines, 1 or more.
        batch: Lines a step, 1 or more.
        learning_rate: The highest, above 0.
    """

    epochs: int = 10
    batch: int = 48
    learning_rate: float = 2e-3


@dataclass(frozen=True)
class TextCourse(Course[Any]):
    """Everything that one training of a language model works on.

    Attributes:
        model: A causal language model of ``transformers``, with dropout or without.
        lines: The corpus.
        tokens_of: How the model reads lines, such as ``TransformersTarget.tokens_of``.
        seed: Decides everything random; must be secret where a private model is released.
        formats: Those of the secrets in the corpus, as a scrubber takes them.
        recipe: How to train without privacy.
        advance: Told how many steps are done, of how many.
    """

    model: Any
    lines: Sequence[str]
    tokens_of: TokensOf
    seed: int
    formats: Sequence[str] = ()
    recipe: TextRecipe = field(default_factory=TextRecipe)
    advance: Advance = ignore

    def tokens(self) -> tuple[Tensor, Tensor]:
        """Returns the lines as the model reads them; see :data:`TokensOf`.

        Raises:
            DataError: If the two do not fit, or a line has fewer than two tokens.
        """
        ids, present = self.tokens_of(self.lines)
        if ids.shape != present.shape or ids.ndim != 2 or not (present.sum(dim=1) >= 2).all():
            raise DataError(
                f"training: tokens {list(ids.shape)} and marks {list(present.shape)}: give both "
                "(lines, length), two tokens a line at least"
            )
        return ids, present

    def seeded(self) -> AbstractContextManager[None]:
        """Seeds dropout; see :meth:`Course.seeded`."""
        return seeded(self.seed)

    def begun(self) -> TextCourse:
        """Returns the course with a copy of the model that may learn; see the base."""
        return replace(self, model=copy.deepcopy(self.model).requires_grad_(True))

    def ended(self) -> Any:
        """Returns the model in evaluation mode; see :meth:`Course.ended`."""
        return self.model.eval()
