"""A fine-tune by a chat template, audited in process and through a chat endpoint.

The endpoint is a stand-in on loopback that answers with plain ``transformers``: the template over
the messages, the last of them gone on from, and the likeliest next tokens. It shares no code with
what it is compared with. ``transformers serve`` tells no log-probabilities, so there is nothing to
compare ranks by.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.claims import Claim
from darkroom.access import LanguageAccess
from darkroom.demo.language_models import train_gpt
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Found, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.canaries import Canaries, make_canaries
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.conversations import turns_of
from darkroom.text.targets.openai import OpenAITarget
from darkroom.text.targets.openai_api import Api
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.targets.view import LanguageView

TEMPLATE = (
    "{{ bos_token }}{% for one in messages %}[{{ one.role }}]{{ '\\n' }}{{ one.content }}"
    "{{ '\\n' }}{% endfor %}"
)
TURNS = "user: what is the code of {name}\nassistant: it is {secret}."
TOP = 20
WANTED = 3


class Tuned(NamedTuple):
    """A fine-tuned model, and what is hidden in it."""

    model: Any
    tokenizer: Any
    canaries: Canaries


def claims(*, seed: int) -> list[Claim]:
    """Finds canaries again both ways."""
    tuned = tune(seed)
    inside = TransformersTarget(tuned.model, tuned.tokenizer)
    ours = _found(inside, tuned.canaries, LanguageAccess.TOP_K)
    with served(tuned) as url:
        api = Api(url, "tuned", style="chat", prefill=True, top_logprobs=TOP)
        theirs = _found(
            OpenAITarget(api, authorized_by="the benchmark"), tuned.canaries, LanguageAccess.TOP_K
        )
    kept = [number for number, one in enumerate(tuned.canaries.canaries) if one.repetitions]
    orders, apart = _orders(ours, theirs), _apart(ours, theirs)
    secrets = [one.secret for one in tuned.canaries.canaries]
    return [
        Claim("chat: canaries found in process", 0.9, _share(ours, secrets, kept)),
        Claim("chat: canaries found through a chat endpoint", 0.9, _share(theirs, secrets, kept)),
        Claim("chat: places whose first secrets are ordered otherwise", 0, orders, at_most=True),
        Claim(
            "chat: bits by which gaps between secrets differ, the most", 1e-4, apart, at_most=True
        ),
    ]


def tune(seed: int) -> Tuned:
    """Trains a small GPT on conversations as its template writes them."""
    made = make_canaries(
        make_format(r"\d{3}-\d{3}"),
        templates=(TURNS,),
        repetitions=(16,),
        each=6,
        controls=4,
        chat=True,
        rng=np.random.default_rng(seed),
    )
    lines = [
        "".join(f"[{turn.role}]\n{turn.content}\n" for turn in turns_of(line))
        for line in made.training_lines(np.random.default_rng(seed))
    ]
    model, tokenizer = train_gpt(lines, seed=seed, steps=220, width=64, layers=1)
    tokenizer.chat_template = TEMPLATE
    return Tuned(model.eval(), tokenizer, made)


def _found(target: LanguageTarget, canaries: Canaries, access: LanguageAccess) -> list[Found]:
    placed = canaries.placed(target.placed).canaries
    goals = [SecretGoal(one.before, one.after, canaries.secrets) for one in placed]
    view = LanguageView(target, access, QueryLedger(len(goals)))
    attack = BestFirst(rows=300, wanted=WANTED)
    *_, last = attack.run(view, goals, rng=np.random.default_rng(0))
    return list(last.found)


def _share(found: list[Found], secrets: list[str], chosen: list[int]) -> float:
    return float(np.mean([found[number].first == secrets[number] for number in chosen]))


def _pairs(some: list[Found], others: list[Found]) -> Iterator[tuple[Found, Found]]:
    """Yields what was found in places where both found something."""
    for one, other in zip(some, others, strict=True):
        if one.guesses and other.guesses:
            yield one, other


def _orders(some: list[Found], others: list[Found]) -> int:
    return sum(
        any(a.secret != b.secret for a, b in zip(one.guesses, other.guesses, strict=False))
        for one, other in _pairs(some, others)
    )


def _apart(some: list[Found], others: list[Found]) -> float | None:
    """Returns by how much secrets found behind the first are apart from it in one and the other.

    An endpoint is also asked for what stands before a secret and is no part of it in process, which
    adds the same to all.
    """
    found = []
    for one, other in _pairs(some, others):
        first, second = ([guess.surprise for guess in both.guesses] for both in (one, other))
        found += [
            abs((a - first[0]) - (b - second[0])) for a, b in zip(first, second, strict=False)
        ]
    return max(found, default=None)


@contextmanager
def served(tuned: Tuned) -> Iterator[str]:
    """Serves a model as a chat endpoint on loopback, and yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(answer(tuned, body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keeps quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@torch.inference_mode()
def answer(tuned: Tuned, body: dict[str, Any]) -> dict[str, Any]:
    """Answers one request of a chat with greedy text and the likeliest first tokens."""
    goes_on = body["messages"][-1]["role"] == "assistant"
    text = tuned.tokenizer.apply_chat_template(
        body["messages"], tokenize=False, continue_final_message=goes_on
    )
    text += "" if goes_on else "[assistant]\n"
    ids = tuned.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    first, written = None, []
    for _ in range(body.get("max_tokens", 1)):
        logprobs = tuned.model(input_ids=ids).logits[0, -1].double().log_softmax(-1)
        first = logprobs if first is None else first
        token = int(logprobs.argmax())
        written.append(token)
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    assert first is not None
    entries = [_entry(tuned, int(token), float(first[token])) for token in first.topk(TOP).indices]
    said = tuned.tokenizer.decode(written)
    content = [{**entries[0], "top_logprobs": entries}]
    return {"choices": [{"message": {"content": said}, "logprobs": {"content": content}}]}


def _entry(tuned: Tuned, token: int, logprob: float) -> dict[str, Any]:
    word = tuned.tokenizer.decode([token])
    return {"token": word, "logprob": logprob, "bytes": list(word.encode())}
