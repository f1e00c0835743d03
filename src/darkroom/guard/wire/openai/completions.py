"""OpenAI's completions and chat, with log-probabilities, as a whole or as a stream of events."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import orjson

from darkroom.defenses.logprobs import LogprobDefense
from darkroom.defenses.registry import LOGPROB_DEFENSES
from darkroom.errors import PlanError
from darkroom.guard.wire.base import Answered, Asked, Tokens
from darkroom.guard.wire.openai.logprobs import Told, chat_logprobs, completion_logprobs
from darkroom.guard.wire.openai.server_sent_events import events
from darkroom.guard.wire.openai.tokens import most_tokens, note_usage, wants_usage
from darkroom.guard.wire.strict_json import (
    Unclear,
    as_count,
    as_list,
    as_object,
    as_text,
    only,
    read_json,
)
from darkroom.guard.wire.strict_wire import UPSTREAM, StrictWire, sentence

_INFER = re.compile(r"(?:/v1)?/(?:(?P<chat>chat/completions)|completions)")
_HARMLESS = re.compile(r"/health|(?:/v1)?/models")
_ID = re.compile(r"[A-Za-z]{1,10}-[A-Za-z0-9-]{1,64}")
_SHARED = (
    *("model", "n", "stream", "stream_options", "temperature", "top_p", "max_tokens", "stop"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "seed", "user"),
    *("service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
)
_CHAT = frozenset(
    [
        *(*_SHARED, "messages", "max_completion_tokens", "top_logprobs", "response_format"),
        *("tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "metadata", "store"),
        *("functions", "function_call", "modalities", "prediction", "verbosity"),
    ]
)
_COMPLETIONS = frozenset([*_SHARED, "prompt", "best_of", "echo", "suffix"])
_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
_SAME_REASONS = {"": None, "eos_token": "stop", "eos": "stop", "max_tokens": "length"}
"""What some servers say in other words."""
MOST_LOGPROBS = 20
_WRITTEN = frozenset(
    ["text", "content", "refusal", "reasoning_content", "tool_calls", "function_call"]
)
_LONGEST_TEXT = 2**24


class _Memo(NamedTuple):
    chat: bool
    model: str
    choices: int
    logprobs: bool
    top: int
    tokens: Tokens | None
    usage: bool


@dataclass(frozen=True)
class OpenAI(StrictWire):
    """``POST [/v1]/chat/completions`` and ``/completions``.

    Rows are prompts times ``n`` or, where it is more, ``best_of``: so many completions are made of
    each prompt, and the best ``n`` of them leave. Embeddings do not match. Members that are not
    OpenAI's own (``prompt_logprobs``, ``n_probs``, ``guided_...``) are refused. Of an answer leave
    text, tool calls, reasons to finish, counts of tokens, and log-probabilities if they may and
    were asked for; the model's name is the request's.

    Attributes:
        logprobs: Whether log-probabilities may leave; a request for them is refused otherwise.
        top_logprobs: Of how many of the likeliest tokens; answers are cut to it.
        echo_logprobs: Whether a prompt's own log-probabilities may leave (``echo`` with
            ``logprobs``).
        logit_bias: Whether requests may hold ``logit_bias``, which turns answers without
            log-probabilities into ones with them.
        defenses: What is done to log-probabilities in order, each a name and its parameters, such
            as ``{"name": "logprob-rounding", "step": 0.5}``.
        completions: The most completions that a request may ask for.
        context: How many tokens a prompt and its completion have room for in the model. Where it is
            given, tokens are counted, and streams are asked to tell theirs.
    """

    name: ClassVar[str] = "openai"

    logprobs: bool = False
    top_logprobs: int = 5
    echo_logprobs: bool = False
    logit_bias: bool = False
    defenses: tuple[dict[str, Any], ...] = ()
    completions: int = 128
    context: int | None = None

    def __post_init__(self) -> None:
        """Makes the defences.

        Raises:
            PlanError: If one is unknown, or a number is out of bounds.
        """
        if not 0 <= self.top_logprobs <= MOST_LOGPROBS:
            raise PlanError(f"wire openai: top_logprobs should be 0 to {MOST_LOGPROBS}")
        if self.completions < 1:
            raise PlanError("wire openai: completions should be 1 or more")
        if self.context is not None and self.context < 1:
            raise PlanError("wire openai: context should be 1 or more")
        _ = self._defenses

    @cached_property
    def _defenses(self) -> tuple[LogprobDefense, ...]:
        made = []
        for one in self.defenses:
            parameters = dict(one)
            made.append(LOGPROB_DEFENSES.make(str(parameters.pop("name", "")), parameters))
        return tuple(made)

    @cached_property
    def _rng(self) -> np.random.Generator:
        # From the system's entropy: noise that a client can foresee is none.
        return np.random.default_rng()

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method == "POST" and _INFER.fullmatch(path) is not None

    def passes(self, method: str, path: str) -> bool:
        """Lets health and the list of models through."""
        return method == "GET" and _HARMLESS.fullmatch(path) is not None

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        # Clients write null for what they do not say.
        every = self._json(headers, body)
        request = {name: value for name, value in every.items() if value is not None}
        found = _INFER.fullmatch(path)
        chat = found is not None and found["chat"] is not None
        only(request, _CHAT if chat else _COMPLETIONS, "the request")
        if request.get("logit_bias") and not self.logit_bias:
            raise Unclear("logit_bias may not be sent", 422)
        stream = request.get("stream")
        if type(stream) not in (bool, type(None)):
            raise Unclear("stream should be true or false")
        if chat:
            as_list(request.get("messages"), "messages")
            prompts = 1
        else:
            prompts = _prompts(request.get("prompt"))
        told = self._count(request, "n")
        rows = prompts * max(told, self._count(request, "best_of"))
        if rows > self.completions:
            raise Unclear(f"it asks for more than {self.completions} completions", 413)
        model = as_text(request.get("model", ""), "model")
        wanted, top = self._logprobs(request, chat)
        tokens = self._tokens(request, len(body), rows)
        usage = tokens is None or not stream or wants_usage(request)
        memo = _Memo(chat, model, prompts * told, wanted, top, tokens, usage)
        return Asked(rows, None, bool(stream), memo, model, tokens)

    def _tokens(self, request: Mapping[str, Any], length: int, rows: int) -> Tokens | None:
        if self.context is None:
            return None
        stream = bool(request.get("stream"))
        return most_tokens(request, length, rows=rows, context=self.context, stream=stream)

    def _count(self, request: Mapping[str, Any], name: str) -> int:
        told = request.get(name)
        return 1 if told is None else as_count(told, name, 1, self.completions)

    def _logprobs(self, request: Mapping[str, Any], chat: bool) -> tuple[bool, int]:
        """Returns whether log-probabilities are asked for, and of how many tokens they leave."""
        told, top = request.get("logprobs"), request.get("top_logprobs")
        if chat:
            if type(told) not in (bool, type(None)):
                raise Unclear("logprobs should be true or false")
            wanted = bool(told)
            if top and not wanted:
                raise Unclear("top_logprobs goes with logprobs")
        else:
            wanted, top = told is not None, told
        most = 0 if top is None else as_count(top, "the count of logprobs", 0, MOST_LOGPROBS)
        if wanted and not self.logprobs:
            raise Unclear("log-probabilities may not be asked for", 422)
        echo = request.get("echo")
        if type(echo) not in (bool, type(None)):
            raise Unclear("echo should be true or false")
        if echo and wanted and not self.echo_logprobs:
            raise Unclear("log-probabilities of the prompt may not be asked for", 422)
        return wanted, min(most, self.top_logprobs)

    def _answer(self, asked: Asked, body: Any) -> Answered:
        answer = as_object(body, "the answer")
        choices = self._choices(asked.memo, answer, "whole")
        if len({one["index"] for one in choices}) != len(choices) or not choices:
            raise Unclear("it holds a choice twice, or none")
        if asked.memo.tokens is not None:
            note_usage(asked.memo.tokens, answer.get("usage"), text=any(map(_says, choices)))
        kind = "chat.completion" if asked.memo.chat else "text_completion"
        document = orjson.dumps(self._document(asked.memo, answer, kind, choices))
        return Answered(None, lambda _: document)

    async def answer_stream(
        self, asked: Asked, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Rewrites a stream, an event at a time; see :meth:`Wire.answer_stream`.

        What is not understood ends it with an event that holds OpenAI's error member, since its
        status has left by then.
        """
        tokens = asked.tokens or Tokens(0)
        tokens.open = True
        try:
            async for event in events(chunks):
                if event == b"[DONE]":
                    tokens.open = False
                    yield b"data: [DONE]\n\n"
                    return
                written = self._event(asked.memo, event)
                if written is not None:
                    yield b"data: " + written + b"\n\n"
        except Unclear as unclear:
            problem = {"status": 502, "title": UPSTREAM, "detail": unclear.detail}
            yield b"data: " + self.error(problem) + b"\n\n"

    def _event(self, memo: _Memo, event: bytes) -> bytes | None:
        """Returns an event as it may leave; ``None`` for one that the guard alone asked for."""
        answer = as_object(read_json(event, self.limits), "an event")
        choices = self._choices(memo, answer, "part")
        kind = "chat.completion.chunk" if memo.chat else "text_completion"
        if memo.tokens is not None:
            memo.tokens.pieces += sum(map(_says, choices))
            note_usage(memo.tokens, answer.get("usage"), text=memo.tokens.pieces > 0)
        if not memo.usage:
            if not choices and answer.get("usage") is not None:
                return None
            answer.pop("usage", None)
        return orjson.dumps(self._document(memo, answer, kind, choices))

    def _document(
        self, memo: _Memo, answer: dict[str, Any], kind: str, choices: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Returns an answer with nothing in it of the upstream's but what is checked."""
        told, created = answer.get("id"), answer.get("created")
        known = isinstance(told, str) and _ID.fullmatch(told) is not None
        document: dict[str, Any] = {
            "id": told if known else "cmpl-0",
            "object": kind,
            "created": created if type(created) is int and 0 <= created < 2**33 else 0,
            "model": memo.model,
            "choices": choices,
        }
        usage = answer.get("usage")
        if isinstance(usage, dict):
            names = ("prompt_tokens", "completion_tokens", "total_tokens")
            counts = {name: usage.get(name, 0) for name in names}
            document["usage"] = {name: as_count(n, name, 0, 2**40) for name, n in counts.items()}
        return document

    def _choices(self, memo: _Memo, answer: dict[str, Any], form: str) -> list[dict[str, Any]]:
        told = answer.get("choices")
        if not isinstance(told, list) or len(told) > memo.choices:
            raise Unclear("it holds more choices than were asked for, or none")
        return [self._choice(memo, as_object(one, "a choice"), form) for one in told]

    def _choice(self, memo: _Memo, choice: dict[str, Any], form: str) -> dict[str, Any]:
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            reason = _SAME_REASONS.get(reason, reason)
        if reason is not None and reason not in _REASONS:
            raise Unclear("it finished for a reason that is none of OpenAI's")
        told = choice.get("index", 0 if memo.choices == 1 else None)
        written: dict[str, Any] = {
            "index": as_count(told, "the index of a choice", 0, memo.choices - 1)
        }
        if memo.chat:
            member = "message" if form == "whole" else "delta"
            message = choice.get(member)
            if message is None and form == "part":  # as Azure's last chunks
                message = {}
            written[member] = _message(as_object(message, member))
        else:
            written["text"] = as_text(choice.get("text"), "text", _LONGEST_TEXT)
        told = choice.get("logprobs") if memo.logprobs else None
        written["logprobs"] = None if told is None else self._told(memo, told)
        written["finish_reason"] = reason
        return written

    def _told(self, memo: _Memo, told: object) -> dict[str, Any]:
        read = chat_logprobs if memo.chat else completion_logprobs
        tokens: Told = read(as_object(told, "logprobs"))
        return tokens.written(self._defenses, self._rng, memo.top)

    def error(self, problem: dict[str, Any]) -> bytes:
        """Returns the problem with OpenAI's own ``error`` object."""
        status = problem.get("status")
        kind = {401: "invalid_request_error", 429: "insufficient_quota"}.get(
            status if isinstance(status, int) else 0,
            "server_error"
            if isinstance(status, int) and status >= 500
            else "invalid_request_error",
        )
        own = {"message": sentence(problem), "type": kind, "param": None, "code": None}
        return orjson.dumps({**problem, "error": own})


def _says(choice: dict[str, Any]) -> bool:
    """Tells whether a choice holds something that was written."""
    told = choice.get("message") or choice.get("delta") or choice
    return any(value for name, value in told.items() if name in _WRITTEN)


def _prompts(prompt: object) -> int:
    """Counts prompts: a string or a list of tokens is one, a list of them is many."""
    if isinstance(prompt, str):
        return 1
    entries = as_list(prompt, "prompt")
    kinds = set(map(type, entries))
    if kinds == {int}:
        return 1
    if kinds == {list}:
        if not all(one and set(map(type, one)) == {int} for one in entries):
            raise Unclear("a prompt should be a string or a list of tokens")
        return len(entries)
    if kinds != {str}:
        raise Unclear("prompt should be a string, a list of strings, or tokens")
    return len(entries)


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Returns the text and the tool calls of a message or a part of one."""
    written: dict[str, Any] = {}
    if message.get("role") is not None:
        if message["role"] not in ("assistant", "tool"):
            raise Unclear("its message has a role that is not the assistant's")
        written["role"] = message["role"]
    for name in ("content", "refusal", "reasoning_content"):
        if name in message:
            text = message[name]
            parts = name == "content" and isinstance(text, list)
            written[name] = [_part(one) for one in text] if parts else _text_or_nothing(text, name)
    if message.get("function_call") is not None:
        written["function_call"] = _function(as_object(message["function_call"], "function_call"))
    calls = message.get("tool_calls")
    if calls:
        written["tool_calls"] = [
            _call(as_object(one, "a tool call")) for one in as_list(calls, "tool_calls")
        ]
    return written


def _call(call: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if "index" in call:
        written["index"] = as_count(call["index"], "the index of a tool call", 0, 1024)
    if call.get("id") is not None:
        written["id"] = as_text(call["id"], "the id of a tool call")
    if call.get("type") is not None:
        if call["type"] != "function":
            raise Unclear("it calls a tool that is no function")
        written["type"] = "function"
    written["function"] = _function(as_object(call.get("function"), "function"))
    return written


def _function(told: dict[str, Any]) -> dict[str, str]:
    return {
        name: as_text(told[name], name, _LONGEST_TEXT)
        for name in ("name", "arguments")
        if told.get(name) is not None
    }


def _text_or_nothing(text: object, name: str) -> str | None:
    return None if text is None else as_text(text, name, _LONGEST_TEXT)


def _part(part: object) -> dict[str, str]:
    """Returns a part of a message's content, which must be text."""
    told = as_object(part, "a part of content")
    if told.get("type") != "text":
        raise Unclear("its message has a part that is no text")
    return {"type": "text", "text": as_text(told.get("text"), "text", _LONGEST_TEXT)}
