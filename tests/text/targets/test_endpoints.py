"""Endpoints as people have them: addresses with parameters, picky members, filters, thinking."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.remote.delivery import Delivery
from darkroom.text.attacks.averaging import Averaging
from darkroom.text.attacks.base import SecretGoal
from darkroom.text.checks.model import knowledge
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.base import Sampling, free
from darkroom.text.targets.openai import OpenAITarget
from darkroom.text.targets.openai_api import Api
from darkroom.text.targets.view import LanguageView
from darkroom.wire.base import joined

FAST = Delivery(backoff=0.001, retries=2, patience=2.0)
Handler = Callable[[httpx.Request, dict[str, Any]], httpx.Response]


def _says(text: str | None, **message: Any) -> httpx.Response:
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return httpx.Response(200, json={"choices": [choice]})


def _error(message: str, **members: Any) -> httpx.Response:
    return httpx.Response(400, json={"error": {"message": message, **members}})


def _target(handler: Handler, url: str = "http://h/v1", **api: Any) -> OpenAITarget:
    def answer(request: httpx.Request) -> httpx.Response:
        return handler(request, json.loads(request.content))

    return OpenAITarget(
        Api(url, "m", **{"style": "chat", "top_logprobs": 0, **api}),
        authorized_by="me",
        delivery=FAST,
        transport=httpx.MockTransport(answer),
    )


def _sample(target: OpenAITarget, *prompts: str, top_k: int | None = None) -> list[str]:
    sampling = Sampling() if top_k is None else Sampling(top_k=top_k)
    return target.sample(prompts, 3, sampling, np.random.default_rng(0), free())


@pytest.mark.parametrize("whole", [False, True])
def test_parameters_of_an_address_stay_behind_its_path(whole: bool) -> None:
    seen = []

    def azure(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        seen.append(str(request.url))
        return _says("hello")

    place = "https://x/openai/deployments/d" + ("/chat/completions" if whole else "")
    _target(azure, f"{place}?api-version=2024-06-01")
    expected = "https://x/openai/deployments/d/chat/completions?api-version=2024-06-01"
    assert seen == [expected]
    assert joined("http://h:1/?a=b", "v2/models/m/infer") == "http://h:1/v2/models/m/infer?a=b"


def test_members_are_added_renamed_and_left_out() -> None:
    seen: list[dict[str, Any]] = []

    def picky(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        seen.append(body)
        for name in ("max_tokens", "top_k", "seed"):
            if name in body:
                return _error(f"Unsupported parameter: '{name}' is not supported with this model.")
        return _says("hello")

    with pytest.raises(TargetError) as caught:
        _target(picky)
    assert "Unsupported parameter: " in str(caught.value)
    assert "rename, omit and extra change requests" in str(caught.value)
    members: dict[str, Any] = {
        "rename": {"max_tokens": "max_completion_tokens"},
        "omit": ["seed", "top_k"],
    }
    target = _target(picky, **members, extra={"user": "audit", "temperature": 0.5})
    assert _sample(target, "a", top_k=5) == ["hello"]
    assert seen[-1]["max_completion_tokens"] == 3
    assert (seen[-1]["user"], seen[-1]["temperature"]) == ("audit", 0.5)
    plain = _target(lambda request, body: _says("hello"))
    assert plain.fingerprint() != target.fingerprint()


@pytest.mark.parametrize(
    "said",
    [
        {"text": None, "reasoning_content": "hmm"},
        {"text": None, "reasoning": "hmm"},
        {"text": "<think>hmm"},
    ],
)
def test_a_model_that_only_thinks_is_refused_with_the_way(said: dict[str, Any]) -> None:
    def thinks(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        return _says(**said) if body["max_tokens"] < 100 else _says("<think>hmm</think>\nhello")

    with pytest.raises(TargetError, match=r"came to no text: set \[target\] reasoning = 2000"):
        _target(thinks)
    assert _sample(_target(thinks, reasoning=200), "a") == ["hello"]


@pytest.mark.parametrize("status", [400, 200])
def test_what_a_content_filter_withholds_is_counted(status: int) -> None:
    def filters(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        if "knife" not in body["messages"][0]["content"]:
            return _says("hello")
        if status == 400:
            return _error("The response was filtered", code="content_filter")
        cut = {"message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
        return httpx.Response(200, json={"choices": [cut]})

    target = _target(filters)
    assert _sample(target, "a", "a knife", "b") == ["hello", "", "hello"]
    assert target.filtered == 1


def _scored(prompt: str) -> httpx.Response:
    words = re.findall(r"\s*\S+", prompt)
    values = [None, *(-0.1 if word == " 3." else -len(word) / 4 for word in words[1:])]
    scores = {"tokens": words, "token_logprobs": values}
    return httpx.Response(200, json={"choices": [{"text": f"{prompt} so", "logprobs": scores}]})


@pytest.mark.parametrize(("refused", "found"), [(" is 2", "3"), (" is 3", "0"), (" is ", None)])
def test_a_text_that_a_filter_refuses_to_score_ends_no_audit(
    refused: str, found: str | None
) -> None:
    def server(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        if refused in body["prompt"]:
            return _error("The prompt was filtered", code="content_filter")
        return _scored(body["prompt"])

    target = _target(server, style="completions", scoring="echo")
    view = LanguageView(target, target.access, QueryLedger(1))
    goal = SecretGoal("her PIN is ", ".", make_format("[0-3]"))
    *_, last = Averaging().run(view, [goal], rng=np.random.default_rng(0))
    assert last.found[0].first == found
    assert not last.found[0].certain
    assert target.filtered == (4 if found is None else 1)
    with pytest.raises(TargetError, match="content filter refuses all of the lines"):
        knowledge(target, ["the number is 2 or is 3 of course"] * 2, np.random.default_rng(0))


def test_a_filter_that_refuses_everything_is_told() -> None:
    def server(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        if "echo" in body:
            return _error("The prompt was filtered", code="content_filter")
        return _scored(body["prompt"])

    with pytest.raises(TargetError, match="content filter refuses texts about nothing"):
        _target(server, style="completions", scoring="echo")


def test_a_refusal_is_shown_unless_it_repeats_what_was_sent() -> None:
    def refuses(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        said = body["messages"][0]["content"]
        if "4711" in said:
            return _error(f"cannot answer {said!r}")
        return _error("model overloaded with knobs") if "PIN" in said else _says("hello")

    target = _target(refuses)
    with pytest.raises(TargetError, match="model overloaded with knobs"):
        _sample(target, "her PIN is")
    with pytest.raises(TargetError, match="not shown: they may hold a secret") as caught:
        _sample(target, "her PIN is 4711")
    assert "4711" not in str(caught.value)
