"""How fast the guard is for each wire format, and before a FastAPI application with scikit-learn.

The applications are factories for ``uvicorn --factory``, as in :mod:`benchmarks.guard.apps`.
``GUARD_WIRE`` says which format one speaks.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.apps import CLASSES, FEATURES, policy
from benchmarks.guard.speed import BUSY, Load, served, timed, written_script
from darkroom.guard.middleware import Guard
from darkroom.guard.proxy import Proxy

Rows = NDArray[np.float64]
NAMES = [f"class{position}" for position in range(CLASSES)]


class Format(NamedTuple):
    """A wire format as a client and an application speak it.

    Attributes:
        path: Of predictions.
        wire: Its table in the policy.
        request: Makes a body of one row.
        rows: Returns the rows of a body that was read.
        answer: Makes the body of an answer to one row, of its scores.
    """

    path: str
    wire: dict[str, Any]
    request: Callable[[list[float]], Any]
    rows: Callable[[Any], Any]
    answer: Callable[[list[float]], Any]


def _labelled(scores: list[float]) -> list[dict[str, Any]]:
    order = sorted(range(CLASSES), key=lambda position: -scores[position])
    return [{"label": NAMES[position], "score": scores[position]} for position in order]


def _written_out(text: str) -> list[list[float]]:
    """Returns what stands for the features of a text: its first signs."""
    return [[float(ord(sign)) for sign in text.ljust(FEATURES)[:FEATURES]]]


def _chatted(scores: list[float]) -> dict[str, Any]:
    message = {"role": "assistant", "content": NAMES[int(np.argmax(scores))]}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }


FORMATS = {
    "json": Format(
        "/predict",
        {"name": "json"},
        lambda row: {"inputs": [row]},
        lambda body: body["inputs"],
        lambda scores: {"scores": [scores]},
    ),
    "v1": Format(
        "/v1/models/m:predict",
        {"name": "v1"},
        lambda row: {"instances": [row]},
        lambda body: body["instances"],
        lambda scores: {"predictions": [scores]},
    ),
    "open-inference": Format(
        "/v2/models/m/infer",
        {"name": "open-inference", "classes": NAMES},
        lambda row: {
            "inputs": [{"name": "x", "shape": [1, FEATURES], "datatype": "FP64", "data": row}]
        },
        lambda body: [body["inputs"][0]["data"]],
        lambda scores: {
            "model_name": "m",
            "outputs": [{"name": "y", "shape": [1, CLASSES], "datatype": "FP64", "data": scores}],
        },
    ),
    "torchserve": Format(
        "/predictions/m",
        {"name": "torchserve", "classes": NAMES},
        lambda row: row,
        lambda body: [body],
        lambda scores: dict(zip(NAMES, scores, strict=True)),
    ),
    "hugging-face": Format(
        "/models/m",
        {"name": "hugging-face", "classes": NAMES, "top_k": CLASSES},
        lambda row: {"inputs": "".join(chr(97 + int(abs(one) * 9) % 26) for one in row)},
        lambda body: _written_out(body["inputs"]),
        lambda scores: [_labelled(scores)],
    ),
    "invocations": Format(
        "/invocations",
        {"name": "invocations"},
        lambda row: {"inputs": [row]},
        lambda body: body["inputs"],
        lambda scores: {"predictions": [scores]},
    ),
    "azure": Format(
        "/score",
        {"name": "azure"},
        lambda row: {"input_data": [row]},
        lambda body: body["input_data"],
        lambda scores: [scores],
    ),
    "openai": Format(
        "/v1/chat/completions",
        {"name": "openai"},
        lambda row: {
            "model": "m",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": " ".join(f"{one:.1f}" for one in row)}],
        },
        lambda body: _written_out(body["messages"][0]["content"]),
        _chatted,
    ),
}


def bare() -> Starlette:
    """A softmax over a matrix product that speaks a format."""
    spoken = FORMATS[os.environ["GUARD_WIRE"]]
    weights = np.random.default_rng(0).normal(size=(FEATURES, CLASSES))

    async def predict(request: Request) -> Response:
        rows = np.array(spoken.rows(orjson.loads(await request.body()))) @ weights
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
        body = orjson.dumps(spoken.answer(scores[0].tolist()))
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route(spoken.path, predict, methods=["POST"])])


def guarded() -> Guard:
    """The same behind the guard."""
    return Guard(bare(), policy(FORMATS[os.environ["GUARD_WIRE"]].wire))


def fastapi() -> Any:
    """A FastAPI application with a classifier of scikit-learn."""
    from fastapi import FastAPI
    from pydantic import BaseModel
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    model = LogisticRegression(max_iter=20)
    model.fit(generator.normal(size=(400, FEATURES)), np.arange(400) % CLASSES)

    class Asked(BaseModel):
        inputs: list[list[float]]

    class Answer(BaseModel):
        scores: list[list[float]]

    app = FastAPI()

    async def predict(asked: Asked) -> Answer:
        return Answer(scores=model.predict_proba(np.array(asked.inputs)).tolist())

    # The annotations are names of this function, which FastAPI could not find by their text.
    predict.__annotations__ = {"asked": Asked, "return": Answer}
    app.post("/predict")(predict)
    return app


def guarded_fastapi() -> Guard:
    """The same with the guard as its middleware."""
    return Guard(fastapi(), policy())


def proxied_fastapi() -> Guard:
    """The guard as a reverse proxy, with durable budgets in SQLite."""
    made = policy()
    return Guard(Proxy(made, os.environ["GUARD_UPSTREAM"]), made)


def format_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times each format's application with the guard and without, in turns.

    Args:
        quick: Whether to time for a shorter while.
        seed: For the rows.
    """
    seconds, repeats = (1, 3) if quick else (3, 7)
    rows: list[list[object]] = []
    shares = {}
    for name, spoken in FORMATS.items():
        tell(f"timing the format {name}")
        with (
            tempfile.TemporaryDirectory(prefix="darkroom-formats-") as folder,
            ExitStack() as stack,
        ):
            urls = {
                app: stack.enter_context(
                    served(f"benchmarks.guard.formats:{app}", Path(folder), GUARD_WIRE=name)
                )
                for app in ("bare", "guarded")
            }
            script = written_script(Path(folder), seed, spoken.request)
            loads = timed(urls, script, BUSY, seconds, repeats, path=spoken.path)
        shares[name] = _share(loads["guarded"], loads["bare"])
        rates = [statistics.median(one.rate for one in loads[app]) for app in urls]
        rows.append([name, *rates, 1e6 / rates[1] - 1e6 / rates[0], shares[name]])
    others = {name: share for name, share in shares.items() if name != "json"}
    least = min(others, key=lambda name: others[name])
    columns = ("format", "bare, requests/s", "guarded", "microseconds added", "share")
    table = Table("Middleware by wire format, 16 connections, one row a request", columns, rows)
    text = f"guard: requests a second over those without it, least of {len(others)} other formats"
    return [Claim(text, 0.55, others[least])], [table]


def fastapi_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times a FastAPI application with scikit-learn alone, guarded, and behind the proxy.

    Args:
        quick: Whether to time for a shorter while.
        seed: For the rows.
    """
    seconds, repeats = (1, 3) if quick else (3, 7)
    tell("timing FastAPI with scikit-learn")
    with tempfile.TemporaryDirectory(prefix="darkroom-fastapi-") as name, ExitStack() as stack:
        folder = Path(name)
        direct = stack.enter_context(served("benchmarks.guard.formats:fastapi", folder))
        urls = {"alone": direct} | {
            app: stack.enter_context(served(place, folder, GUARD_UPSTREAM=direct))
            for app, place in {
                "guarded, as middleware": "benchmarks.guard.formats:guarded_fastapi",
                "behind a plain proxy": "benchmarks.guard.apps:passed",
                "behind the guard as proxy": "benchmarks.guard.formats:proxied_fastapi",
            }.items()
        }
        script = written_script(folder, seed, FORMATS["json"].request)
        loads = timed(urls, script, BUSY, seconds, repeats)
    rates = {app: statistics.median(one.rate for one in found) for app, found in loads.items()}
    table = Table(
        "A FastAPI application with scikit-learn, 16 connections: where a request's time goes",
        ("application", "requests/s", "microseconds a request", "of them added"),
        [[app, rate, 1e6 / rate, 1e6 / rate - 1e6 / rates["alone"]] for app, rate in rates.items()],
    )
    claims = [
        Claim(f"guard: FastAPI with scikit-learn {app}, share of its own requests a second", bar, x)
        for app, bar, x in (
            (app, bar, _share(loads[app], loads["alone"]))
            for app, bar in (("guarded, as middleware", 0.65), ("behind the guard as proxy", 0.4))
        )
    ]
    return claims, [table]


def _share(some: Sequence[Load], others: Sequence[Load]) -> float:
    """Returns the median of the ratios of neighbours in time."""
    return statistics.median(a.rate / b.rate for a, b in zip(some, others, strict=True))
