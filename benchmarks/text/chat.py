"""A fine-tune by a chat template, audited in process and through chat endpoints.

Three endpoints serve it. llama.cpp's server tells log-probabilities, so that ranks are compared;
``transformers serve`` tells text alone, of which secrets are found by sampling. The third is a
stand-in that answers with plain ``transformers`` in double precision: the template over the
messages, the last of them gone on from, and the likeliest next tokens. It shares no code with what
it is compared with.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.claims import Claim, tell
from benchmarks.text.servers import LLAMA, llama_python, llama_server, transformers_serve
from darkroom.access import LanguageAccess
from darkroom.demo.language_models import train_gpt
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Found, SecretAttack, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.sampling import SamplingAttack
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
    "{% if not (loop.last and add_generation_prompt and one.role == 'assistant') %}{{ '\\n' }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt and messages[-1].role != 'assistant' %}"
    "[assistant]{{ '\\n' }}{% endif %}"
)
"""Servers ask for the start of an answer; one that is begun already is gone on from."""

TURNS = "user: what is the code of {name}\nassistant: it is {secret}."
TOP = 20
SEARCH = BestFirst(rows=300, wanted=3)
DRAWN = 12
"""Continuations of each secret through a server that answers text alone."""

BETWEEN = 0.05
"""Bits by which llama.cpp may differ: it keeps keys and values in half precision."""


class Tuned(NamedTuple):
    """A fine-tuned model, and what is hidden in it."""

    model: Any
    tokenizer: Any
    canaries: Canaries


def claims(folder: Path, *, quick: bool, seed: int) -> list[Claim]:
    """Finds canaries again in process and through every endpoint.

    Args:
        folder: An empty one.
        quick: Whether llama.cpp's server is left out where it is not installed.
        seed: Decides everything random.
    """
    tuned = tune(seed)
    inside = TransformersTarget(tuned.model, tuned.tokenizer)
    ours = _found(inside, tuned.canaries, LanguageAccess.TOP_K)
    found = [Claim("chat: canaries found in process", 0.9, _share(ours, tuned.canaries))]
    with served(tuned) as url:
        found += _compared(ours, tuned, url, "tuned", "plain transformers", 1e-4)
    found.append(_sampled(tuned, folder / "transformers"))
    if llama_python():
        with llama_server(tuned.model, tuned.tokenizer, folder / "llama") as (url, name):
            found += _compared(ours, tuned, url, name, "llama.cpp's server", BETWEEN)
    elif not quick:
        tell(f"{LLAMA} names no interpreter with llama-cpp-python[server]")
        found.append(Claim("chat: canaries found through llama.cpp's server", 0.9, None))
    return found


def _compared(
    ours: list[Found], tuned: Tuned, url: str, name: str, what: str, bar: float
) -> list[Claim]:
    """Compares what an endpoint that tells log-probabilities shows with what is found in process.

    Args:
        ours: What is found in process.
        tuned: The model.
        url: The endpoint's address.
        name: What the model is called there.
        what: What the endpoint is.
        bar: By how many bits gaps may differ.
    """
    api = Api(url, name, style="chat", prefill=True, top_logprobs=TOP)
    remote = OpenAITarget(api, authorized_by="the benchmark")
    theirs = _found(remote, tuned.canaries, LanguageAccess.TOP_K)
    remote.close()
    orders, apart = _orders(ours, theirs), _apart(ours, theirs)
    gaps = f"chat, {what}: bits by which gaps between secrets differ, the most"
    return [
        Claim(f"chat: canaries found through {what}", 0.9, _share(theirs, tuned.canaries)),
        Claim(f"chat, {what}: places whose first secrets are ordered otherwise", 0, orders, True),
        Claim(gaps, bar, apart, at_most=True),
    ]


def _sampled(tuned: Tuned, folder: Path) -> Claim:
    """Finds canaries by sampling, through a server that answers text alone."""
    inserted = replace(tuned.canaries, canaries=tuned.canaries.inserted)
    with transformers_serve(tuned.model, tuned.tokenizer, folder) as (url, name):
        # The server refuses members that it does not know.
        unknown = ("continue_final_message", "add_generation_prompt")
        api = Api(url, name, style="chat", prefill=True, top_logprobs=0, omit=unknown)
        remote = OpenAITarget(api, authorized_by="the benchmark")
        found = _found(remote, inserted, LanguageAccess.SAMPLES, SamplingAttack(rows=DRAWN))
        remote.close()
    share = _share(found, inserted)
    return Claim("chat: canaries found through transformers serve, from text alone", 0.9, share)


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


def _found(
    target: LanguageTarget,
    canaries: Canaries,
    access: LanguageAccess,
    attack: SecretAttack = SEARCH,
) -> list[Found]:
    placed = canaries.placed(target.placed).canaries
    goals = [SecretGoal(one.before, one.after, one.format) for one in placed]
    view = LanguageView(target, access, QueryLedger(len(goals)))
    *_, last = attack.run(view, goals, rng=np.random.default_rng(0))
    return list(last.found)


def _share(found: list[Found], canaries: Canaries) -> float:
    """Returns the share of canaries in the training data that come first."""
    pairs = zip(found, canaries.canaries, strict=True)
    return float(
        np.mean([one.first == canary.secret for one, canary in pairs if canary.repetitions])
    )


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
