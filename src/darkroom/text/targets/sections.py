"""``[target]`` of a plan of text: a model in a local folder, or behind an API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from darkroom.remote.sections import ServedSection
from darkroom.sections import PythonSection, Section, as_bytes


class TransformersSection(Section):
    """A model in a local folder; see :func:`darkroom.text.targets.transformers.load_transformers`.

    Attributes:
        kind: Tells it from other targets.
        load: The folder, as ``save_pretrained`` writes it.
        before: The same model before it was trained on the canaries, to compare with.
        device: Where it runs.
        batch: Rows answered at a time.
        memory: Bytes that reading may take beside the model, such as ``"4 GB"``.
        adapter: The folder of an adapter that ``peft`` wrote; one that lies in ``load`` is found.
        tokenizer: The folder of its tokenizer, where it is another.
        dtype: In which precision it runs; as it was saved when left out.
        device_map: How ``accelerate`` spreads it over devices, such as ``"auto"``.
        quantization: Reads its weights in so many bits, with ``bitsandbytes``.
        revision: Which version of ``load`` in the local cache of the Hugging Face Hub.
        encoder: For an encoder with a decoder: what the encoder reads, with ``{before}`` and
            ``{after}`` for the text around a secret.
        decoder: What the decoder has written before the secret.
    """

    kind: Literal["transformers"] = "transformers"
    load: Path
    before: Path | None = None
    device: str = "cpu"
    batch: int = Field(default=256, ge=1)
    memory: int = Field(default=2 << 30, ge=64 << 20)
    adapter: Path | None = None
    tokenizer: Path | None = None
    dtype: Literal["float64", "float32", "bfloat16", "float16"] | None = None
    device_map: str | dict[str, str | int] | None = None
    quantization: Literal["4bit", "8bit"] | None = None
    revision: str | None = None
    encoder: str = "{before}"
    decoder: str = "{before}"

    @field_validator("memory", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        return as_bytes(value)


class OpenAISection(ServedSection):
    """A model behind an OpenAI-compatible API; see :class:`darkroom.text.targets.openai.Api`.

    Attributes:
        kind: Tells it from other targets.
        url: Up to what stands before ``/completions``.
        model: The model's name there.
        style: How it is asked.
        scoring: How the log-probabilities of a given text are asked for.
        top_logprobs: How many of the likeliest tokens an answer shall name; 0 for text alone.
        prefill: For ``chat``: whether the server goes on from the start of an answer.
        instruction: For ``chat``: the message, with ``{prompt}`` where the text goes.
        allow_noise: Whether the endpoint may answer the same question differently.
        extra: Members that every request holds besides.
        rename: What members are called there.
        omit: Members that the server refuses.
        reasoning: Tokens that the model may spend on thinking before it writes.
    """

    kind: Literal["openai"]
    model: str
    style: Literal["completions", "chat", "ollama"] = "completions"
    scoring: Literal["echo", "prompt_logprobs", "none"] = "none"
    top_logprobs: int = Field(default=5, ge=0, le=100)
    prefill: bool = False
    instruction: str = Field(default="{prompt}", pattern=r"\{prompt\}")
    allow_noise: bool = False
    extra: dict[str, Any] = Field(default_factory=dict)
    rename: dict[str, str] = Field(default_factory=dict)
    omit: list[str] = Field(default_factory=list)
    reasoning: int = Field(default=0, ge=0)


TextTarget = Annotated[
    TransformersSection | OpenAISection | PythonSection, Field(discriminator="kind")
]
