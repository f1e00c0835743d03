"""Tokens of completions and chat: how many a request can take at most, and how many it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from darkroom.guard.wire.base import Tokens
from darkroom.guard.wire.strict_json import as_count, as_list

TEMPLATE = 256
"""Tokens that a chat template may add to what a request says, such as a system prompt."""

_RENDERED = ("tools", "functions", "response_format", "prediction")
"""Members that a template may write out at more length than the request has them."""


def most_tokens(
    request: Mapping[str, Any], length: int, *, rows: int, context: int, stream: bool
) -> Tokens:
    """Returns the most that a request can take.

    A token stands for a byte of text or more in every tokenizer that covers all bytes, and JSON
    writes no text shorter than it is. Whatever a request says, a prompt and its completion have
    room in the model's context. Servers take a limit of 0 for none, and some do not know
    ``max_completion_tokens``: it bounds what is written only beside ``max_tokens``.

    Args:
        request: Without members that are null.
        length: Of its body in bytes.
        rows: Completions that are made.
        context: Tokens of the model's context.
        stream: Whether the answer is a stream, whose server must be asked to tell.
    """
    limit = request.get("max_tokens")
    limits: list[Any] = [limit, request.get("max_completion_tokens", limit)]
    plain = all(type(one) is int and one >= 1 for one in limits)
    written = rows * (min(context, max(limits)) if plain else context)
    whole = any(request.get(name) for name in _RENDERED) or not _only_text(request)
    prompt = context * rows if whole else length + TEMPLATE
    most = min(prompt + written, rows * context)
    tokens = Tokens(most, asked=min(prompt, rows * context), written=written)
    if not stream or wants_usage(request):
        return tokens
    told = request.get("stream_options")
    options = {**(told if isinstance(told, dict) else {}), "include_usage": True}
    tokens.body = orjson.dumps({**request, "stream_options": options})
    return tokens


def wants_usage(request: Mapping[str, Any]) -> bool:
    """Tells whether a request asks for the count of tokens at the end of its stream."""
    options = request.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def note_usage(tokens: Tokens, usage: object, *, text: bool) -> None:
    """Notes what an answer or an event tells.

    A server that tells of none although it wrote text does not count.

    Args:
        tokens: Where to.
        usage: Its member.
        text: Whether the answer holds text.

    Raises:
        Unclear: If it is no count.
    """
    if not isinstance(usage, dict):
        return
    prompt, written = (
        as_count(usage.get(name) or 0, name, 0, 2**40)
        for name in ("prompt_tokens", "completion_tokens")
    )
    if prompt and (written or not text):
        tokens.prompt = max(tokens.prompt, prompt)
        tokens.completion = max(tokens.completion or 0, written)


def _only_text(request: Mapping[str, Any]) -> bool:
    """Tells whether all that is asked is text: pictures take tokens that no length tells of."""
    if "messages" not in request:
        return True
    for one in as_list(request["messages"], "messages"):
        content = one.get("content") if isinstance(one, dict) else None
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict) or part.get("type") != "text":
                return False
    return True
