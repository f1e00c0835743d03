"""A language model behind a guard: what extraction gets until the guard refuses."""

from __future__ import annotations

from pathlib import Path

import httpx
import orjson
import pytest
from benchmarks.guard.servers import served
from tests.support.served import body_of
from tests.support.tiny_language import memoriser
from tests.text.targets.test_openai import Server

from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.runs import audit_plan
from darkroom.text.canaries import save_key

PER_DAY = 40

PLAN = """\
[run]
name = "guarded"
authorized_by = "the tests"

[target]
kind = "openai"
url = "{free}/v1"
model = "tiny"
top_logprobs = 8

[guarded]
url = "{guarded}/v1"

[private]
canaries = "canaries.key.json"

[[attack]]
name = "best-first"
rows = 60
"""


class Endpoint:
    """The tiny model as an application that refuses after so many rows, as a guard does."""

    def __init__(self, most: int | None = None) -> None:
        self.server, self.most = Server(), most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(scope, receive, send)
        if body is None:
            return
        head = [(b"content-type", b"application/json")]
        if self.most is not None:
            left = max(0, self.most - self.server.rows - 1)
            head += [
                (b"ratelimit-policy", f'"daily";q={self.most};w=86400'.encode()),
                (b"ratelimit", f'"daily";r={left};t=86400'.encode()),
            ]
            if self.server.rows >= self.most:
                refused = [*head, (b"retry-after", b"86400")]
                await send({"type": "http.response.start", "status": 429, "headers": refused})
                await send({"type": "http.response.body", "body": b'{"error": "spent"}'})
                return
        request = httpx.Request("POST", f"http://x{scope['path']}", content=body)
        answer = orjson.dumps(orjson.loads(self.server(request).content))
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})


@pytest.mark.slow
def test_a_search_has_what_it_found_when_it_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_key(Path("canaries.key.json"), memoriser().canaries)
    hidden = Endpoint(PER_DAY)
    with served(Endpoint()) as free, served(hidden) as guarded:
        Path("plan.toml").write_text(PLAN.format(free=free, guarded=guarded))
        plain, held = audit_plan(Path("plan.toml"), progress=False).cells
    assert (plain.defense, held.defense) == ("none", "guard")
    guard = held.details.guard
    assert guard is not None
    assert hidden.server.rows == PER_DAY == guard.rows + guard.opened
    assert guard.refusals >= 1
    assert held.queries.total < plain.queries.total
    assert held.success.estimate <= plain.success.estimate
