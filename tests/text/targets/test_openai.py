"""Every form of an OpenAI-compatible server, acted by a small model, and what they get wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import many
from tests.support.tiny_language import memoriser

from darkroom.access import LanguageAccess
from darkroom.errors import DarkroomError, TargetError
from darkroom.ledger import QueryLedger
from darkroom.remote.delivery import Delivery
from darkroom.text.attacks.base import SecretAttack, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.sampling import SamplingAttack
from darkroom.text.targets.base import Sampling, free
from darkroom.text.targets.openai import OpenAITarget
from darkroom.text.targets.openai_api import Api
from darkroom.text.targets.view import LanguageView
from darkroom.wire import openai as wire

FAST = Delivery(backoff=0.001, retries=2, patience=2.0)
URL = "http://127.0.0.1:9/v1"


class Server:
    """Answers as servers do, from a model in process.

    Attributes:
        dialect: Which server it acts.
        rows: Prompts that it saw.
    """

    def __init__(
        self, dialect: str = "openai", spoil: Callable[[dict[str, Any]], Any] | None = None
    ):
        self.dialect = dialect
        self.spoil = spoil
        self.rows = 0
        self.fail = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.rows += 1
        if self.fail:
            self.fail -= 1
            return httpx.Response(503, json={"error": "busy"})
        body = json.loads(request.content)
        answer = self._answer(request.url.path, body)
        spoiled = answer if self.spoil is None else self.spoil(answer)
        if isinstance(spoiled, bytes):
            return httpx.Response(200, content=spoiled)
        return httpx.Response(200, json=spoiled)

    def _answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("chat/completions"):
            said = [m["content"] for m in body["messages"]]
            top = self._top("".join(said), body.get("top_logprobs", 1))
            entry = {"token": top[0][0], "logprob": top[0][1]}
            entries = [{"token": w, "logprob": p, "bytes": list(w.encode())} for w, p in top]
            choice: dict[str, Any] = {"message": {"content": self._text("".join(said), body)}}
            if body.get("logprobs"):
                choice["logprobs"] = {"content": [{**entry, "top_logprobs": entries}]}
            return {"choices": [choice]}
        if path.endswith("api/generate"):
            top = self._top(body["prompt"], body.get("top_logprobs", 1))
            entries = [{"token": word, "logprob": p} for word, p in top]
            return {
                "response": self._text(body["prompt"], body["options"]),
                "logprobs": [{"token": top[0][0], "logprob": top[0][1], "top_logprobs": entries}],
            }
        choice = {"text": self._text(body["prompt"], body)}
        if "prompt_logprobs" in body:
            choice["prompt_logprobs"] = self._vllm(body["prompt"])
        elif body.get("echo") and self.dialect != "llama.cpp":
            words, values = self._scored(body["prompt"])
            choice["text"] = body["prompt"] + choice["text"]
            choice["logprobs"] = {"tokens": [*words, "!"], "token_logprobs": [*values, -0.5]}
        elif "logprobs" in body:
            top = self._top(body["prompt"], body["logprobs"])
            if self.dialect == "llama.cpp":
                entries = [{"token": word, "logprob": p} for word, p in top]
                choice["logprobs"] = {"content": [{"token": "x", "top_logprobs": entries}]}
            else:
                choice["logprobs"] = {"top_logprobs": [dict(top)], "token_logprobs": [top[0][1]]}
        return {"choices": [choice]}

    def _top(self, prompt: str, k: int) -> list[tuple[str, float]]:
        target = memoriser().target
        one = target.codec.encode([prompt])[0]
        _, answers = target.trie().open([one.opening + one.tokens], free())
        best = np.argsort(-answers.logprobs[0])[: 3 * k]
        words = [target.codec.vocabulary[token] for token in best]
        pairs = [
            (w.decode(errors="replace"), float(answers.logprobs[0, t]))
            for w, t in zip(words, best, strict=True)
            if w
        ]
        return pairs[:k]

    def _text(self, prompt: str, body: dict[str, Any]) -> str:
        length = body.get("max_tokens", body.get("num_predict", 1))
        rng = np.random.default_rng(body.get("seed", 0))
        sampling = Sampling(body.get("temperature", 1.0), body.get("top_k", 0))
        return memoriser().target.sample([prompt], length, sampling, rng, free())[0]

    def _scored(self, prompt: str) -> tuple[list[str], list[float | None]]:
        target = memoriser().target
        one = target.codec.encode([prompt])[0]
        told = target.score_tokens([one.opening], [one.tokens], free())[0]
        words = [(target.codec.vocabulary[token] or b"").decode() for token in one.tokens]
        return words, [None, *(float(value) for value in told[1:])]

    def _vllm(self, prompt: str) -> list[Any]:
        words, values = self._scored(prompt)
        rest = [
            {str(place): {"logprob": value, "rank": 1, "decoded_token": word}}
            for place, (word, value) in enumerate(zip(words[1:], values[1:], strict=True))
        ]
        return [None, *rest]


def connect(server: Server, **options: Any) -> OpenAITarget:
    api = Api(URL, "tiny", **{"top_logprobs": 8, **options})
    transport = httpx.MockTransport(server)
    return OpenAITarget(api, authorized_by="tests", delivery=FAST, transport=transport)


FORMS: dict[str, tuple[str, dict[str, Any], LanguageAccess]] = {
    "completions": ("openai", {}, LanguageAccess.TOP_K),
    "completions with echo": ("openai", {"scoring": "echo"}, LanguageAccess.LOGPROBS),
    "vllm": ("openai", {"scoring": "prompt_logprobs"}, LanguageAccess.LOGPROBS),
    "llama.cpp": ("llama.cpp", {}, LanguageAccess.TOP_K),
    "chat with prefill": ("openai", {"style": "chat", "prefill": True}, LanguageAccess.TOP_K),
    "ollama": ("openai", {"style": "ollama"}, LanguageAccess.TOP_K),
    "text alone": ("openai", {"top_logprobs": 0}, LanguageAccess.SAMPLES),
}


OFTEN = ("completions", "chat with prefill", "text alone")


@pytest.mark.medium
@pytest.mark.parametrize(
    "form", [pytest.param(one, marks=() if one in OFTEN else pytest.mark.slow) for one in FORMS]
)
def test_a_secret_found_in_process_is_found_through_every_form(form: str) -> None:
    dialect, options, access = FORMS[form]
    server = Server(dialect)
    target = connect(server, **options)
    assert target.access is access
    tested = server.rows
    canaries = memoriser().canaries
    goals = [SecretGoal(c.before, c.after, c.format) for c in canaries.canaries]
    ledger = QueryLedger(len(goals))
    level = LanguageAccess.SAMPLES if access is LanguageAccess.SAMPLES else LanguageAccess.TOP_K
    attack: SecretAttack = (
        SamplingAttack(rows=48) if level is LanguageAccess.SAMPLES else BestFirst(rows=40)
    )
    view = LanguageView(target, level, ledger)
    *_, last = attack.run(view, goals, rng=np.random.default_rng(0))
    right = [
        bool(f.guesses) and f.guesses[0].secret == c.secret
        for f, c in zip(last.found, canaries.canaries, strict=True)
    ]
    assert sum(right[:3]) >= 2
    assert not any(right[3:])
    assert server.rows - tested == ledger.total == last.queries.sum()
    assert target.rows_sent == server.rows
    target.close()


@pytest.mark.medium
@pytest.mark.parametrize("scoring", ["echo", "prompt_logprobs"])
def test_scores_equal_those_in_process(scoring: str) -> None:
    target = connect(Server(), scoring=scoring)
    prompts, endings = ["The access code of Ann is ", "Dear Bo, the"], ["1234", " code"]
    ours = memoriser().target.score(prompts, endings, free())
    for one, other in zip(target.score(prompts, endings, free()), ours, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    target.close()


def test_retries_are_counted_as_the_server_counts_them() -> None:
    server = Server()
    target = connect(server)
    before, server.fail = server.rows, 2
    ledger = QueryLedger(1)
    view = LanguageView(target, LanguageAccess.TOP_K, ledger)
    view.trie().open(["The access code of Ann is"] * 3, np.zeros(3, np.int64))
    assert ledger.total == server.rows - before == 5
    target.close()


def spoil_top(change: Callable[[dict[str, float]], Any]) -> Callable[[dict[str, Any]], Any]:
    def spoil(answer: dict[str, Any]) -> Any:
        told = answer["choices"][0].get("logprobs")
        if told and "top_logprobs" in told:
            told["top_logprobs"] = [change(told["top_logprobs"][0])]
        return answer

    return spoil


def jitter(seed: int) -> Callable[[dict[str, float]], dict[str, float]]:
    rng = np.random.default_rng(seed)
    return lambda top: {w: min(p + float(rng.normal(0, 0.3)), -1e-9) for w, p in top.items()}


TRAPS: dict[str, tuple[Server, dict[str, Any], str]] = {
    "llama.cpp takes echo and scores nothing": (
        Server("llama.cpp"),
        {"scoring": "echo"},
        "ignores the question",
    ),
    "unknown is -9999": (
        Server(spoil=spoil_top(lambda top: dict.fromkeys(top, -9999.0))),
        {},
        "of no token",
    ),
    "positive": (Server(spoil=spoil_top(lambda top: dict.fromkeys(top, 0.5))), {}, "positive"),
    "more than one in all": (
        Server(spoil=spoil_top(lambda top: dict.fromkeys(top, -0.1))),
        {},
        "add up to",
    ),
    "not a number": (
        Server(spoil=spoil_top(lambda top: dict.fromkeys(top, "x"))),
        {},
        "is no number",
    ),
    "depends on the order": (Server(spoil=spoil_top(jitter(0))), {}, "differently"),
    "no log-probabilities": (Server(spoil=spoil_top(lambda _: {})), {}, "of no token"),
    "no json": (Server(spoil=lambda _: b"<html>"), {}, "no JSON"),
    "an error inside": (Server(spoil=lambda _: {"error": {"message": "x"}}), {}, "an error"),
    "no choices": (Server(spoil=lambda _: {"choices": []}), {}, "no choices"),
    "a list": (Server(spoil=lambda _: []), {}, "no JSON object"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_an_endpoint_that_fails_the_test_is_refused(trap: str) -> None:
    server, options, why = TRAPS[trap]
    with pytest.raises(TargetError, match=why) as caught:
        connect(server, **options)
    assert "\n" not in str(caught.value)


def cut_scores(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def spoil(answer: dict[str, Any]) -> Any:
        told = answer["choices"][0].get("logprobs")
        if told and "tokens" in told:
            change(told)
        return answer

    return spoil


SCORE_TRAPS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "fewer values than tokens": (lambda told: told["token_logprobs"].pop(), "not one log-prob"),
    "a null amid": (lambda told: told["token_logprobs"].__setitem__(2, None), "is no number"),
    "unknown amid": (
        lambda told: told["token_logprobs"].__setitem__(-2, -9999.0),
        "positive or unknown",
    ),
    "the same for all": (
        lambda told: told.update(token_logprobs=[None, *[0.0] * (len(told["tokens"]) - 1)]),
        "the same score",
    ),
    "another text": (lambda told: told.update(tokens=["x"] * len(told["tokens"])), "do not spell"),
    "nothing": (lambda told: told.update(tokens=[], token_logprobs=[]), "do not spell|no log-prob"),
}


@pytest.mark.parametrize("trap", SCORE_TRAPS)
def test_an_endpoint_that_scores_wrongly_is_refused(trap: str) -> None:
    change, why = SCORE_TRAPS[trap]
    with pytest.raises(TargetError, match=why):
        connect(Server(spoil=cut_scores(change)), scoring="echo")


def test_noise_is_accepted_when_it_is_declared() -> None:
    target = connect(Server(spoil=spoil_top(jitter(1))), allow_noise=True)
    assert target.access is LanguageAccess.TOP_K
    target.close()


def test_a_remote_model_needs_leave() -> None:
    with pytest.raises(TargetError, match="authorized_by"):
        OpenAITarget(Api(URL, "tiny"), authorized_by=" ")
    with pytest.raises(TargetError, match="score no given text"):
        OpenAITarget(Api(URL, "tiny", style="chat", scoring="echo"), authorized_by="tests")


def test_a_chat_without_prefill_goes_on_from_nothing() -> None:
    target = connect(Server(), style="chat")
    view = LanguageView(target, LanguageAccess.TOP_K, QueryLedger(1))
    goal = SecretGoal("The access code of Ann is ", ".", memoriser().canaries.formats[0])
    with pytest.raises(TargetError, match="prefill"):
        list(BestFirst().run(view, [goal], rng=np.random.default_rng(0)))
    target.close()


def test_a_chat_that_ignores_a_begun_answer_is_refused() -> None:
    class Deaf(Server):
        def _answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
            asked, *begun = body["messages"]
            if begun:  # taken for a message of its own
                asked = {"content": f"{asked['content']} assistant: {begun[0]['content']} user: "}
            return super()._answer(path, {**body, "messages": [asked]})

    with pytest.raises(TargetError, match="prefill = false"):
        connect(Deaf(), style="chat", prefill=True)


def test_no_message_repeats_an_answer() -> None:
    server = Server()
    target = connect(server)
    server.spoil = lambda _: {"choices": [{"text": 5, "secret": "123-45-6789"}]}
    with pytest.raises(DarkroomError) as caught:
        target.sample(["x"], 3, Sampling(), np.random.default_rng(0), free())
    assert "123" not in str(caught.value)
    server.spoil = lambda _: b"123-45-6789" * 3
    with pytest.raises(DarkroomError) as caught:
        target.sample(["x"], 3, Sampling(), np.random.default_rng(0), free())
    assert "123" not in str(caught.value)
    target.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(-(10**6), 10**6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "logprobs",
                    "content",
                    "top_logprobs",
                    "token",
                    "tokens",
                    "text",
                    "bytes",
                    "logprob",
                    "token_logprobs",
                    "message",
                    "prompt_logprobs",
                    "error",
                    "response",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@pytest.mark.medium
@many
@given(JSON)
def test_whatever_a_server_answers_is_read_or_refused(answer: Any) -> None:
    content = json.dumps(answer).encode()
    for read in (
        wire.written_text,
        wire.likeliest_tokens,
        lambda choice: wire.ending_logprobs(wire.prompt_tokens(choice, "ab"), "a"),
    ):
        try:
            got = read(wire.first_choice(wire.read_json(content)))
        except TargetError:
            continue
        if isinstance(got, list):
            assert got
            assert all(token.logprob <= 0 and not math.isnan(token.logprob) for token in got)
        elif isinstance(got, np.ndarray):
            assert len(got) > 0
            assert np.isfinite(got).all()


def test_a_share_is_turned_into_a_log_probability() -> None:
    choice = {"completion_probabilities": [{"probs": [{"tok_str": "a", "prob": 0.25}]}]}
    assert wire.likeliest_tokens(choice) == [wire.Token(b"a", math.log(0.25))]
