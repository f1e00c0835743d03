"""Every wire format against its own OpenAPI description, with requests that schemathesis makes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.guard.conftest import KEYS, policy_table, reply
from tests.guard.wire.descriptions import CLASSES, DESCRIPTIONS, openapi

from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.guard.telemetry.record import Record

SECRET = "7h3-upstr34m-s41d-s0"
HEADERS = [(b"x-scores", SECRET.encode()), (b"set-cookie", SECRET.encode()), (b"server", b"S/7h3-")]
OURS = {
    *(
        "content-type",
        "content-length",
        "cache-control",
        "ratelimit",
        "ratelimit-policy",
        "x-request-id",
    ),
    *("connection", "retry-after", "www-authenticate", "allow"),
}
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)
SOUND = (not_a_server_error, positive_data_acceptance)
FAILURES = (502, 503, 504)


class Upstream:
    """A model that answers raw scores in every format, and keeps what it must not be told of."""

    def __init__(self, *, hostile: bool) -> None:
        self.raw: list[float] = []
        self.asked = 0
        self._rng = np.random.default_rng(0)
        ways = (self._sound, self._logits, self._failing, self._page, self._away, self._crash)
        self._ways = itertools.cycle(ways if hostile else ways[:1])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        body = (await receive())["body"]
        if scope["method"] == "GET":
            await reply(send, b'{"ready": true}', more=HEADERS)
            return
        self.asked += 1
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None  # a picture or a text, which TorchServe and Hugging Face take
        await next(self._ways)(self._answer(scope["path"], asked), send)

    async def _sound(self, answer: Any, send: Send) -> None:
        await reply(send, json.dumps(answer).encode(), more=HEADERS)

    async def _logits(self, answer: Any, send: Send) -> None:
        changed = json.dumps(answer).replace("0.", "7.").replace('"finish', f'"{SECRET}": 1, "f')
        await reply(send, changed.encode(), more=HEADERS)

    async def _failing(self, answer: Any, send: Send) -> None:
        await reply(send, json.dumps([SECRET, answer]).encode(), 500, more=HEADERS)

    async def _page(self, answer: Any, send: Send) -> None:
        await reply(send, f"<p>{SECRET} {answer}".encode(), kind=b"text/html", more=HEADERS)

    async def _away(self, answer: Any, send: Send) -> None:
        to = [(b"location", f"http://127.0.0.1/{SECRET}".encode())]
        await reply(send, json.dumps(answer).encode(), 307, more=[*HEADERS, *to])

    async def _crash(self, answer: Any, send: Send) -> None:
        raise ValueError(f"{SECRET} {answer}")

    def _drawn(self, rows: int) -> list[list[float]]:
        scores: list[list[float]] = self._rng.dirichlet(np.ones(len(CLASSES)), rows).tolist()
        self.raw = list(itertools.chain.from_iterable(scores))
        return scores

    def _answer(self, path: str, asked: Any) -> Any:
        if path == "/v2/models/m/infer":
            scores = self._drawn(asked["inputs"][0]["shape"][0])
            tensor = {"name": "p", "datatype": "FP64", "data": list(itertools.chain(*scores))}
            tensor["shape"] = [len(scores), len(CLASSES)]
            logits = {**tensor, "name": "logits", "data": [SECRET]}
            return {"model_name": SECRET, "parameters": {"p": scores}, "outputs": [tensor, logits]}
        if path == "/v1/models/m:predict":
            return {"predictions": self._drawn(len(asked["instances"])), "logits": self.raw}
        if path == "/predictions/m":
            return dict(zip(CLASSES, self._drawn(1)[0], strict=True))
        if path == "/models/m":
            inputs = asked["inputs"] if isinstance(asked, dict) else ""
            rows = [
                [{"label": one, "score": p, "raw": p} for one, p in zip(CLASSES, row, strict=True)]
                for row in self._drawn(1 if isinstance(inputs, str) else len(inputs))
            ]
            return rows[0] if isinstance(inputs, str) else rows
        if path == "/predict":
            return {"scores": self._drawn(len(asked["inputs"])), "logits": self.raw, SECRET: 1}
        return self._written(asked, chat=path.endswith("chat/completions"))

    def _written(self, asked: Any, *, chat: bool) -> Any:
        count = asked.get("n") or 1
        if not chat and isinstance(asked["prompt"], list) and isinstance(asked["prompt"][0], str):
            count *= len(asked["prompt"])
        logprobs = [-abs(one) for one in self._drawn(count)[0]]
        self.raw = logprobs
        tokens = [{"token": " a", "logprob": one, "bytes": None} for one in logprobs]
        content = [{**tokens[0], "top_logprobs": tokens[:1]}]
        lists = {"tokens": [" a"], "token_logprobs": logprobs[:1], "text_offset": [0]}
        said: dict[str, Any] = {
            "logprobs": {"content": content} if chat else {**lists, "top_logprobs": None},
            "finish_reason": "stop",
            "stop_reason": SECRET,
        }
        if chat:
            said["message"] = {"role": "assistant", "content": "a", "reasoning": SECRET}
        else:
            said["text"] = "a"
        choices = [{**said, "index": index} for index in range(count)]
        return {"id": SECRET, "model": SECRET, "prompt_logprobs": logprobs, "choices": choices}


Case = schemathesis.Case[Any]


class Api:
    """A guard with one wire format in front of an upstream, as schemathesis asks it."""

    def __init__(self, name: str, folder: Path, *, hostile: bool) -> None:
        self.description = DESCRIPTIONS[name]
        self.records: list[Record] = []
        self.upstream = Upstream(hostile=hostile)
        policy = parse_policy(
            policy_table(
                wire=[self.description.wire],
                budget=[{"name": "daily", "per": "client", "rows": 10**9}],
                outputs={"labels_only": True},
            ),
            "policy",
        )
        guard = Guard(
            self.upstream,
            policy,
            store=SqliteStore("tiny", folder / "guard.sqlite", create=True),
            observers=[self.records.append],
        )
        described = openapi(self.description, FAILURES if hostile else ())
        self.schema = schemathesis.openapi.from_dict(described)
        self.schema.app = guard

    def traces(self, response: schemathesis.Response) -> list[str]:
        """Returns what an answer tells of the upstream's raw scores, texts and headers."""
        shown = response.content + repr(response.headers).encode()
        told = [SECRET, *(str(abs(raw))[:8] for raw in self.upstream.raw)]
        return [one for one in told if one.encode() in shown] + [*response.headers.keys() - OURS]

    def check(self, case: Case, *, hostile: bool) -> int:
        """Asks, fails if anything is wrong or anything raw left, and returns the status."""
        self.upstream.raw, asked = [], self.upstream.asked
        headers = {"authorization": f"Bearer {KEYS['alice']}"}
        response = case.call(headers=headers)
        case.validate_response(response, checks=[*CHECKS] if hostile else [*CHECKS, *SOUND])
        assert self.traces(response) == []
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"]
            assert json.loads(response.content or b'{"status": 405}')["status"] >= 400
        charged = sum(one.rows for one in self.records)
        self.records.clear()
        assert charged >= self.upstream.asked - asked
        return int(response.status_code)


def attack(api: Api, examples: int, *, hostile: bool) -> None:
    """Asks every route with bodies that fit its description, and with bodies that do not."""
    for path in api.description.harmless:
        operation = api.schema[path]["GET"]
        assert asked(api, operation.as_strategy(), 1, hostile=hostile) == {200}
    for path in api.description.model:
        operation = api.schema[path]["POST"]
        # To JSON Schema 1.0 is a whole number. To the guard it is not, for readers differ.
        fitting = operation.as_strategy(GenerationMode.POSITIVE).filter(
            lambda case: whole(case.body)
        )
        statuses = asked(api, fitting, examples, hostile=hostile)
        assert statuses == ({200, 502} if hostile else {200})
        others = operation.as_strategy(GenerationMode.NEGATIVE)
        statuses = asked(api, others, examples, hostile=hostile)
        # Of few bodies, all that do not fit may be in what names the client.
        assert statuses & {400, 401, 422}


def whole(body: Any) -> bool:
    """Tells whether all counts in a body are written without a fraction."""
    if isinstance(body, list):
        return all(map(whole, body))
    if not isinstance(body, dict):
        return True
    counts = ("n", "best_of", "max_tokens", "logprobs", "top_k", "shape")
    told = [body[name] for name in counts if name in body]
    return not any("." in json.dumps(one) for one in told) and all(map(whole, body.values()))


def asked(api: Api, cases: Any, examples: int, *, hostile: bool) -> set[int]:
    """Asks with some of the cases, and returns the statuses that came back."""
    statuses: set[int] = set()

    @settings(max_examples=examples)
    @given(case=cases)
    def ask(case: Case) -> None:
        statuses.add(api.check(case, hostile=hostile))

    ask()
    return statuses


@pytest.mark.medium
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_sound_model_is_answered_as_described(name: str, tmp_path: Path) -> None:
    attack(Api(name, tmp_path, hostile=False), 6, hostile=False)


@pytest.mark.medium
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_nothing_raw_leaves_a_hostile_model(name: str, tmp_path: Path) -> None:
    attack(Api(name, tmp_path, hostile=True), 12, hostile=True)


def test_without_a_guard_the_traces_are_found(tmp_path: Path) -> None:
    api = Api("json", tmp_path, hostile=False)
    api.schema.app = api.upstream
    case = api.schema["/predict"]["POST"].Case(body={"inputs": [[1.0, 2.0, 3.0]]})
    found = api.traces(case.call())
    assert {SECRET, "x-scores", "set-cookie", "server"} < set(found)
    assert {str(raw)[:8] for raw in api.upstream.raw} < set(found)


@pytest.mark.slow
@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_the_same_hundreds_of_times(name: str, tmp_path: Path, *, hostile: bool) -> None:
    attack(Api(name, tmp_path, hostile=hostile), 300, hostile=hostile)
