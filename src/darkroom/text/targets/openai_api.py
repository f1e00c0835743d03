"""How an OpenAI-compatible endpoint is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from darkroom.errors import TargetError
from darkroom.text.targets.base import Sampling
from darkroom.text.targets.conversations import MARK, opened, turns_of
from darkroom.wire.base import joined

Style = Literal["completions", "chat", "ollama"]
Scoring = Literal["echo", "prompt_logprobs", "none"]


@dataclass(frozen=True)
class Api:
    """How an endpoint is asked.

    Attributes:
        url: Up to what stands before ``/completions``, such as ``http://127.0.0.1:8000/v1``; for
            ``ollama`` what stands before ``/api``.
        model: The model's name there.
        style: ``completions``, ``chat``, or Ollama's own ``ollama``.
        scoring: How the log-probabilities of a given text are asked for: ``echo``, vLLM's
            ``prompt_logprobs``, or not at all.
        top_logprobs: How many of the likeliest tokens an answer shall name; 0 for text alone.
        prefill: For ``chat``: whether the server goes on from the start of an answer that is sent
            along. Without it, only the first token's alternatives can be asked for.
        instruction: For ``chat``: the message, with ``{prompt}`` where the text goes.
        allow_noise: Whether an endpoint may answer the same question differently, as behind a
            defence that adds noise.
        extra: Members that every request holds besides, or with other values.
        rename: What members are called there, such as ``max_completion_tokens`` for
            ``max_tokens``.
        omit: Members that the server refuses, such as ``seed`` or ``top_k``; of Ollama's
            ``options`` too.
        reasoning: Tokens that the model may spend on thinking before it writes.
    """

    url: str
    model: str
    style: Style = "completions"
    scoring: Scoring = "none"
    top_logprobs: int = 5
    prefill: bool = False
    instruction: str = "{prompt}"
    allow_noise: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    omit: Sequence[str] = ()
    reasoning: int = 0

    def endpoint(self) -> str:
        """Returns the address that questions go to."""
        ends = {
            "completions": "completions",
            "chat": "chat/completions",
            "ollama": "api/generate",
        }
        return joined(self.url, ends[self.style])

    def sent(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a request with its members as the server wants them."""
        kept = {self.rename.get(key, key): body[key] for key in body if key not in self.omit}
        if isinstance(kept.get("options"), dict):
            options = kept["options"]
            kept["options"] = {key: options[key] for key in options if key not in self.omit}
        return {**kept, **self.extra}

    def next_body(self, prompt: str, partial: str) -> dict[str, Any]:
        """Returns the question what may follow a text."""
        k = self.top_logprobs
        if self.style == "completions":
            return {
                **self._named(prompt + partial),
                "max_tokens": 1,
                "temperature": 0,
                "logprobs": k,
            }
        if self.style == "ollama":
            options = {"num_predict": 1, "temperature": 0}
            body = {**self._named(prompt + partial), "raw": True, "stream": False}
            return {**body, "options": options, "logprobs": True, "top_logprobs": k}
        body = {**self._messages(prompt, partial), "max_tokens": 1, "temperature": 0}
        return {**body, "logprobs": True, "top_logprobs": k}

    def score_body(self, text: str) -> dict[str, Any]:
        """Returns the question how likely each token of a text is."""
        body = {**self._named(text), "max_tokens": 1, "temperature": 0}
        if self.scoring == "prompt_logprobs":
            return {**body, "prompt_logprobs": 0}
        return {**body, "echo": True, "logprobs": 1}

    def sample_body(
        self, prompt: str, length: int, sampling: Sampling, seed: int
    ) -> dict[str, Any]:
        """Returns the question to go on from a text."""
        top_k = {"top_k": sampling.top_k} if sampling.top_k else {}
        length += self.reasoning
        if self.style == "ollama":
            options = {"num_predict": length, "temperature": sampling.temperature, "seed": seed}
            body = {**self._named(prompt), "raw": True, "stream": False}
            return {**body, "options": {**options, **top_k}}
        drawn = {"max_tokens": length, "temperature": sampling.temperature, "seed": seed, **top_k}
        if self.style == "chat":
            return {**self._messages(prompt, ""), **drawn}
        return {**self._named(prompt), **drawn}

    def answered(self, before: str, after: str) -> tuple[str, str]:
        """Returns the texts around a secret in an answer, as far as the endpoint goes on from it.

        Args:
            before: The conversation up to the secret.
            after: The rest of it.

        Raises:
            TargetError: If the endpoint cannot go on from where the secret stands.
        """
        around = opened(before, after)
        if around.role != "assistant":
            raise TargetError(
                f"target {self.model}: a chat endpoint goes on from answers alone, and the secret "
                f"stands in what the {around.role} says: put it into an answer"
            )
        if around.begun and not self.prefill:
            raise TargetError(
                f"target {self.model}: the secret stands amid an answer, and the endpoint was not "
                "said to go on from one that is begun: set [target] prefill = true, or make "
                "canaries whose answer is the secret alone"
            )
        # No space before an answer: its first token has none.
        return before if around.begun else before.rstrip(), around.rest

    def _named(self, prompt: str) -> dict[str, Any]:
        return {"model": self.model, "prompt": prompt}

    def _messages(self, prompt: str, partial: str) -> dict[str, Any]:
        asked = [{"role": "user", "content": self.instruction.replace("{prompt}", prompt)}]
        if prompt.startswith(MARK):
            *former, own = turns_of(prompt)
            asked = [turn._asdict() for turn in former]
            partial = own.content + partial
        if not partial:
            return {"model": self.model, "messages": asked}
        begun = {"role": "assistant", "content": partial}
        # The last two words are vLLM's for going on from a message that is begun.
        return {
            "model": self.model,
            "messages": [*asked, begun],
            "continue_final_message": True,
            "add_generation_prompt": False,
        }
