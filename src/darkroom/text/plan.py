"""Plans that audit a language model with canaries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from darkroom.access import LanguageAccess
from darkroom.auditing.plan import AttackSection, BasePlan, Section
from darkroom.errors import PlanError
from darkroom.text.targets.sections import OpenAISection, TextTarget, TransformersSection


class CanarySection(Section):
    """The truth, which the audit alone sees.

    Attributes:
        canaries: The key file of ``darkroom canaries make``.
        rank_rows: Rows a canary to spend on its exact rank; not the attacker's.
        references: Candidates drawn for each canary whose exact rank is not reached.
        corpus: The lines that every ``[[training]]`` trains on, canaries among them.
        held_out: Lines that the model was not trained on, ``.jsonl`` or ``.txt``; its perplexity
            on them is what it is worth.
    """

    canaries: Path
    rank_rows: int = Field(default=300, ge=1)
    references: int = Field(default=200, ge=20)
    corpus: Path | None = None
    held_out: Path | None = None


class SecretAttackSection(AttackSection):
    """An attack by name; its access is one of a language model's.

    Attributes:
        access: What a query returns to it; the most that suits it when left out.
    """

    access: LanguageAccess | None = None  # type: ignore[assignment]


class TextRecipeSection(Section):
    """How every ``[[training]]`` but ``dp-sgd``, which has a recipe of its own, trains.

    Attributes:
        epochs: Passes over the lines.
        batch: Lines a step.
        learning_rate: Of the optimiser at its highest.
    """

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=48, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)


class TextPlan(BasePlan):
    """A plan that audits a language model with canaries.

    With ``training``, Darkroom trains the model in ``[target] load`` further on the lines of
    ``[private] corpus``, once without a defence and once with each.
    """

    guard_kind: ClassVar[str] = "openai"

    target: TextTarget
    guarded: OpenAISection | None = None
    private: CanarySection
    attack: Annotated[list[SecretAttackSection], Field(min_length=1)]  # type: ignore[assignment]
    recipe: TextRecipeSection = TextRecipeSection()

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        if not self.training:
            return self
        if not isinstance(self.target, TransformersSection):
            raise PlanError(
                f"[[training]] trains a model in a local folder, and [target] kind is "
                f'{self.target.kind}: set kind = "transformers"'
            )
        if self.private.corpus is None:
            raise PlanError(
                "[[training]] needs the lines to train on, canaries among them: set [private] "
                "corpus"
            )
        return self

    def anchored(self, folder: Path) -> Self:
        """Returns the plan with the paths of its inputs made relative to a folder."""
        target = anchored_target(self.target, folder)
        names = ("canaries", "corpus", "held_out")
        files = {name: getattr(self.private, name) for name in names}
        moved = {name: folder / path for name, path in files.items() if path is not None}
        private = self.private.model_copy(update=moved)
        return self.model_copy(update={"target": target, "private": private})


def anchored_target(target: TextTarget, folder: Path) -> TextTarget:
    """Returns a target whose folders are relative to a folder."""
    if not isinstance(target, TransformersSection):
        return target
    places = ("load", "before", "adapter", "tokenizer")
    named = {name: getattr(target, name) for name in places}
    found = {name: folder / path for name, path in named.items() if path is not None}
    return target.model_copy(update=found)
