"""What OpenAI-compatible servers send, read strictly: whatever is not understood is refused.

Messages never repeat an answer, since an answer may hold a secret.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkroom.errors import TargetError

UNKNOWN = -9000.0
"""Servers send -9999 where they know no log-probability."""

SLACK = 1e-3
"""How far above zero a log-probability may be for want of precision."""


class Token(NamedTuple):
    """A token that a server names.

    Attributes:
        text: The bytes that it stands for, ``None`` where the server does not tell.
        logprob: Its natural log-probability.
    """

    text: bytes | None
    logprob: float


class Scored(NamedTuple):
    """A token of a prompt.

    Attributes:
        text: Its characters.
        start: Where it starts in the prompt, in characters.
        logprob: Its natural log-probability, or ``None`` for the first, which nothing precedes.
    """

    text: str
    start: int
    logprob: float | None


def read_json(content: bytes) -> Mapping[str, Any]:
    """Reads an answer's body.

    Raises:
        TargetError: If it is no JSON object, or reports an error.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise refused("it is no JSON") from None
    if not isinstance(body, dict):
        raise refused("it is no JSON object")
    if body.get("error"):
        raise refused("it reports an error")
    return body


def first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the first of an answer's choices; Ollama's own answers are one themselves.

    Raises:
        TargetError: If there is none.
    """
    choices = body.get("choices")
    if choices is None and ("response" in body or "content" in body or "message" in body):
        return body
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise refused("it holds no choices")
    return choices[0]


FILTERED = "content_filter"
"""What servers say of a prompt or an answer that they do not let through."""


def says_filtered(content: bytes) -> bool:
    """Tells whether an error says that the server's content filter refuses the prompt."""
    return FILTERED.encode() in content


def choice_of(content: bytes) -> Mapping[str, Any]:
    """Returns the first choice of an answer; one without text where a filter refused the prompt.

    Raises:
        TargetError: If it holds none.
    """
    if b'"error"' in content and says_filtered(content):
        return {"text": "", "finish_reason": FILTERED}
    return first_choice(read_json(content))


def is_filtered(choice: Mapping[str, Any]) -> bool:
    """Tells whether a content filter refused the prompt, or cut the answer."""
    return choice.get("finish_reason") == FILTERED


def withholds_scores(choice: Mapping[str, Any]) -> bool:
    """Tells whether a content filter refused a prompt that was to be scored."""
    told = choice.get("logprobs") is not None or choice.get("prompt_logprobs") is not None
    return is_filtered(choice) and not told


def reasons(choice: Mapping[str, Any]) -> bool:
    """Tells whether a model thought before it wrote."""
    message = choice.get("message")
    within = message if isinstance(message, dict) else choice
    told = any(within.get(name) for name in ("reasoning_content", "reasoning", "thinking"))
    text = within.get("content") or within.get("text")
    return told or (isinstance(text, str) and text.lstrip().startswith("<think>"))


def written_text(choice: Mapping[str, Any]) -> str:
    """Returns the text of a choice, without what a model thought before it.

    Raises:
        TargetError: If there is none.
    """
    message = choice.get("message")
    found = message.get("content") if isinstance(message, dict) else None
    if found is None and reasons(choice):
        return ""
    for name in ("text", "response", "content"):
        if found is None:
            found = choice.get(name)
    if found is None and is_filtered(choice):
        return ""
    if not isinstance(found, str):
        raise refused("it holds no text")
    if found.lstrip().startswith("<think>"):
        return found.partition("</think>")[2].lstrip()
    return found


def likeliest_tokens(choice: Mapping[str, Any]) -> list[Token]:
    """Returns the likeliest first tokens of a choice, however the server writes them.

    Understood are OpenAI's completions (``logprobs.top_logprobs``, a mapping a token) and chat
    (``logprobs.content[].top_logprobs``), which vLLM and llama.cpp write too; llama.cpp's own
    ``completion_probabilities``; and Ollama's ``logprobs``, a list of the same entries as chat.

    Returns:
        None of a prompt that a content filter refused.

    Raises:
        TargetError: If there are none, or a log-probability is no number, not finite or positive.
    """
    if is_filtered(choice):
        return []
    told = choice.get("logprobs")
    if told is None:
        told = choice.get("completion_probabilities")
    if isinstance(told, dict) and isinstance(told.get("content"), list):
        told = told["content"]
    if isinstance(told, dict):
        top = told.get("top_logprobs")
        if not isinstance(top, list) or not top or not isinstance(top[0], dict):
            raise refused("it holds no log-probabilities of the tokens that may follow")
        return _checked([Token(_bytes(word, None), _number(p)) for word, p in top[0].items()])
    if not isinstance(told, list) or not told or not isinstance(told[0], dict):
        raise refused("it holds no log-probabilities of the tokens that may follow")
    entries = next(
        (told[0][n] for n in ("top_logprobs", "top_probs", "probs") if n in told[0]), None
    )
    if not isinstance(entries, list) or not entries:
        raise refused("it holds no log-probabilities of the tokens that may follow")
    return _checked([_entry(entry) for entry in entries])


def _entry(entry: object) -> Token:
    if not isinstance(entry, dict):
        raise refused("a token in it is no object")
    word = entry.get("token", entry.get("tok_str"))
    if not isinstance(word, str):
        raise refused("a token in it has no text")
    if "logprob" in entry:
        return Token(_bytes(word, entry.get("bytes")), _number(entry["logprob"]))
    share = _number(entry.get("prob"))
    return Token(_bytes(word, entry.get("bytes")), math.log(share) if share > 0 else -math.inf)


def _checked(tokens: Sequence[Token]) -> list[Token]:
    """Leaves out what the server does not know, and refuses what cannot be.

    Raises:
        TargetError: If values are positive or add up to more than one.
    """
    known = [token for token in tokens if token.logprob > UNKNOWN]
    if not known:
        raise refused("it knows the log-probability of no token")
    if any(token.logprob > SLACK for token in known):
        raise refused("a log-probability in it is positive")
    total = math.fsum(math.exp(token.logprob) for token in known)
    if total > 1 + 10 * SLACK * len(known):
        raise refused(f"its probabilities add up to {total:.3f}")
    return [Token(token.text, min(token.logprob, 0.0)) for token in known]


def prompt_tokens(choice: Mapping[str, Any], prompt: str) -> list[Scored]:
    """Returns the log-probabilities of a prompt's own tokens.

    Understood are completions with ``echo`` (``logprobs.tokens``, ``token_logprobs`` and
    ``text_offset``) and vLLM's ``prompt_logprobs``.

    Args:
        choice: The answer's choice.
        prompt: What was sent.

    Raises:
        TargetError: If the server told nothing of the prompt, as llama.cpp does though it accepts
            ``echo``; if tokens and values differ in number, a value but the first is missing, not
            finite, positive or a server's word for unknown; or the tokens do not spell the prompt.
    """
    if isinstance(choice.get("prompt_logprobs"), list):
        return _spelled(_from_vllm(choice["prompt_logprobs"]), prompt)
    told = choice.get("logprobs")
    if not isinstance(told, dict) or not isinstance(told.get("token_logprobs"), list):
        raise refused(
            "it holds no log-probabilities of the prompt: the server ignores the question"
        )
    values, words = told["token_logprobs"], told.get("tokens")
    if not isinstance(words, list) or len(words) != len(values):
        raise refused("it has not one log-probability for each token of the prompt")
    return _spelled(list(zip(words, values, strict=True)), prompt)


def _from_vllm(told: Sequence[object]) -> list[tuple[object, object]]:
    """Returns the tokens of vLLM's list of mappings from token to value; rank tells which it is.

    The first token, which nothing precedes, has no entry and no text either.
    """
    pairs: list[tuple[object, object]] = []
    for place, one in enumerate(told):
        if one is None and place == 0:
            continue
        if not isinstance(one, dict) or not one:
            raise refused("a token of the prompt has no log-probability")
        # The prompt's own token comes first; the likeliest are added behind it.
        entry = next(iter(one.values()))
        if not isinstance(entry, dict):
            raise refused("a token of the prompt has no log-probability")
        pairs.append((entry.get("decoded_token"), entry.get("logprob")))
    return pairs


def _spelled(pairs: Sequence[tuple[object, object]], prompt: str) -> list[Scored]:
    words = []
    for word, _ in pairs:
        if not isinstance(word, str):
            raise refused("a token of the prompt has no text")
        words.append(word)
    spelled = "".join(words)
    # Completion tokens may follow the echo, and the first token may be left out.
    start = prompt.find(spelled) if len(spelled) < len(prompt) else 0
    if not (spelled.startswith(prompt) or (start >= 0 and prompt.endswith(spelled))):
        raise refused("the tokens that it scores do not spell the prompt")
    place = 0 if spelled.startswith(prompt) else len(prompt) - len(spelled)
    scored: list[Scored] = []
    for number, (word, (_, value)) in enumerate(zip(words, pairs, strict=True)):
        if place >= len(prompt):
            break
        logprob = None if value is None and number == 0 else _number(value)
        if logprob is not None and (logprob > SLACK or logprob <= UNKNOWN):
            raise refused("a log-probability of the prompt is positive or unknown")
        scored.append(Scored(word, place, logprob))
        place += len(word)
    return scored


def ending_logprobs(scored: Sequence[Scored], prompt: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Returns the log-probabilities of the tokens that reach behind a prompt.

    Args:
        scored: The tokens of prompt and ending together.
        prompt: The text before the ending.

    Raises:
        TargetError: If there are none: an empty sum would be the best score of all.
    """
    within = [one for one in scored if one.start + len(one.text) > len(prompt)]
    values = [one.logprob for one in within if one.logprob is not None]
    if not within or len(values) != len(within):
        raise refused("it has no log-probability for the text that was to be scored")
    return np.array(values, np.float64)


def _bytes(word: str, listed: object) -> bytes | None:
    if (
        isinstance(listed, list)
        and listed
        and all(isinstance(b, int) and 0 <= b < 256 for b in listed)
    ):
        return bytes(listed)
    # A replacement character stands for a part of a character that text cannot tell.
    return None if "\ufffd" in word else word.encode(errors="replace")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise refused("a log-probability in it is no number")
    return float(value)


def refused(why: str) -> TargetError:
    """Returns the error for an answer that cannot be used."""
    return TargetError(f"the language model's answer is refused: {why}")
