"""Plans that audit a language model with canaries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from darkroom.access import LanguageAccess
from darkroom.auditing.plan import AttackSection, BasePlan, Section, TrainingSection
from darkroom.errors import PlanError


class TransformersSection(Section):
    """A model in a local folder; see :func:`darkroom.text.targets.transformers.load_transformers`.

    Attributes:
        load: The folder, as ``save_pretrained`` writes it.
        before: The same model before it was trained on the canaries, to compare with.
        device: Where it runs.
        batch: Rows answered at a time.
    """

    kind: Literal["transformers"] = "transformers"
    load: Path
    before: Path | None = None
    device: str = "cpu"
    batch: int = Field(default=256, ge=1)


class OpenAISection(Section):
    """A model behind an OpenAI-compatible API; see :class:`darkroom.text.targets.openai.Api`.

    Attributes:
        url: Up to what stands before ``/completions``.
        model: The model's name there.
        style: How it is asked.
        scoring: How the log-probabilities of a given text are asked for.
        top_logprobs: How many of the likeliest tokens an answer shall name; 0 for text alone.
        prefill: For ``chat``: whether the server goes on from the start of an answer.
        instruction: For ``chat``: the message, with ``{prompt}`` where the text goes.
        allow_noise: Whether the endpoint may answer the same question differently.
        concurrency: The most requests at once.
        timeout: Seconds for one attempt.
        retries: How often a request that may have reached the server is sent once more.
        patience: Seconds to wait for a server that is away or asks to be left alone.
        headers_from_env: Header names, and for each the environment variable with its value.
        api_key_env: The environment variable with a key that is sent as a bearer token.
    """

    kind: Literal["openai"]
    url: str
    model: str
    style: Literal["completions", "chat", "ollama"] = "completions"
    scoring: Literal["echo", "prompt_logprobs", "none"] = "none"
    top_logprobs: int = Field(default=5, ge=0, le=100)
    prefill: bool = False
    instruction: str = Field(default="{prompt}", pattern=r"\{prompt\}")
    allow_noise: bool = False
    concurrency: int = Field(default=4, ge=1, le=256)
    timeout: float = Field(default=30.0, gt=0, le=3600)
    retries: int = Field(default=6, ge=0, le=100)
    patience: float = Field(default=120.0, ge=0, le=30 * 86_400)
    headers_from_env: dict[str, str] = Field(default_factory=dict)
    api_key_env: str | None = None


TextTarget = Annotated[TransformersSection | OpenAISection, Field(discriminator="kind")]


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
    """How every ``[[training]]`` but ``dp-sgd``, which has a recipe of its own, trains."""

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=48, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)


class TextPlan(BasePlan):
    """A whole plan.

    With ``training``, Darkroom trains the model in ``[target] load`` further on the lines of
    ``[private] corpus``, once without a defence and once with each.
    """

    target: TextTarget
    private: CanarySection
    attack: Annotated[list[SecretAttackSection], Field(min_length=1)]  # type: ignore[assignment]
    training: list[TrainingSection] = Field(default_factory=list)
    recipe: TextRecipeSection = TextRecipeSection()

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        self.refuse_idle_recipe(trains=bool(self.training))
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
        target: TransformersSection | OpenAISection = self.target
        if isinstance(target, TransformersSection):
            before = None if target.before is None else folder / target.before
            target = target.model_copy(update={"load": folder / target.load, "before": before})
        names = ("canaries", "corpus", "held_out")
        files = {name: getattr(self.private, name) for name in names}
        moved = {name: folder / path for name, path in files.items() if path is not None}
        private = self.private.model_copy(update=moved)
        return self.model_copy(update={"target": target, "private": private})
