"""Plans that audit a language model with the real secrets of a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from darkroom.auditing.plan import Section
from darkroom.errors import PlanError
from darkroom.text.plan import TextPlan, anchored_target
from darkroom.text.real.prompts import WAYS, Way
from darkroom.text.targets.sections import TextTarget, TransformersSection


class RealSection(Section):
    """The truth, which the audit alone sees.

    Attributes:
        secrets: The file of secrets, ``.jsonl`` or ``.csv``.
        base: The model before the fine-tune, as ``[target]`` describes one.
        prompts: The ways in which secrets are asked for.
        decoys: Strings of the same format that each secret is ranked among.
        rank_rows: Rows a secret to spend on its exact rank; not the attacker's.
        near: Characters in which a near miss differs at most; 0 for none.
        near_rows: Rows a secret to spend on near misses; not the attacker's.
        held_out: Lines that the model was not trained on, ``.jsonl`` or ``.txt``.
    """

    secrets: Path
    base: TextTarget | None = None
    prompts: Annotated[tuple[Way, ...], Field(min_length=1)] = WAYS
    decoys: int = Field(default=200, ge=20)
    rank_rows: int = Field(default=200, ge=1)
    near: int = Field(default=1, ge=0, le=2)
    near_rows: int = Field(default=100, ge=1)
    held_out: Path | None = None


class RealPlan(TextPlan):
    """A plan that audits a language model with the real secrets of a corpus."""

    private: RealSection  # type: ignore[assignment]

    @field_validator("guarded", mode="before")
    @classmethod
    def _without_a_guard(cls, value: Any) -> Any:
        if value is not None:
            raise PlanError(
                "[guarded] needs canaries: set [private] canaries in place of secrets, or remove it"
            )
        return value

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        if self.training:
            raise PlanError(
                "[[training]] needs canaries, whose lines can be trained on: set [private] "
                "canaries and corpus, or remove it"
            )
        return self

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        before = isinstance(self.target, TransformersSection) and self.target.before is not None
        if before and self.private.base is not None:
            raise PlanError("[private] base and [target] before are one model: remove either")
        return self

    def anchored(self, folder: Path) -> Self:
        """Returns the plan with the paths of its inputs made relative to a folder."""
        private = self.private
        base = None if private.base is None else anchored_target(private.base, folder)
        held_out = None if private.held_out is None else folder / private.held_out
        moved = {"secrets": folder / private.secrets, "base": base, "held_out": held_out}
        return self.model_copy(
            update={
                "target": anchored_target(self.target, folder),
                "private": private.model_copy(update=moved),
            }
        )
