"""Servers as people have them, started by each row on this machine."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import darkroom
from benchmarks.reach.planted.tables import INPUTS, MEMBERS, planted, together
from benchmarks.reach.rows import Row
from darkroom.text.canaries import make_canaries, save_key
from darkroom.text.formats.secrets import make_format

Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]
"""Takes the address behind the host and the request; returns status and body."""


def rows() -> Iterator[Row]:
    """Yields every kind of endpoint."""
    yield Row("JSON", "rows as objects, of a table", _table(_json))
    yield Row("JSON", "a version in the address's parameters", _table(_json_with_version))
    yield Row("JSON", "a key in the address alone", _table(_json_with_key, keys=_KEYED))
    yield Row("Open Inference", "a column a tensor", _table(_open_inference, protocol="v2"))
    refused = "check that [target] describes what the server takes"
    yield Row("JSON", "a server that wants something else", _table(_refuses), refused)
    yield Row("OpenAI", "chat", _text(_chat))
    yield Row("Azure", "api-version behind the path", _text(_azure, "?api-version=2024-06-01"))
    renamed = 'rename = {max_tokens = "max_completion_tokens"}\nomit = ["seed", "top_k"]\n'
    yield Row("OpenAI", "max_completion_tokens, as told", _text(_picky, keys=renamed))
    yield Row("OpenAI", "max_completion_tokens", _text(_picky), "rename, omit and extra")
    yield Row("OpenAI", "thinks before it writes", _text(_thinks, keys="reasoning = 50\n"))
    yield Row("OpenAI", "thinks alone", _text(_thinks), "set [target] reasoning = 2000")
    yield Row("Azure", "a content filter refuses one prompt", _text(_filters))
    yield Row("Ollama", "its own interface", _text(_ollama, keys='style = "ollama"\n'))


@contextmanager
def _served(answer: Answer) -> Iterator[str]:
    """Serves on a free port of this machine, and yields the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            status, body = answer(self.path, json.loads(content))
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_KEYED = 'parameters_from_env = {sig = "DARKROOM_REACH_KEY"}\n'


def _table(answer: Answer, protocol: str = "json", keys: str = "") -> Callable[[Path], bool]:
    """Returns what audits a server that says ill of every smoker."""

    def meet(folder: Path) -> bool:
        data = planted()
        together(data).to_csv(folder / "rows.csv", index=False)
        n, inputs = len(data.private), json.dumps(list(INPUTS))
        model = 'model = "ill"\n' if protocol == "v2" else ""
        version = "/ask?api-version=1" if answer is _json_with_version else ""
        os.environ["DARKROOM_REACH_KEY"] = "open/sesame="
        with _served(answer) as url:
            plan = folder / "plan.toml"
            plan.write_text(
                f'[run]\nname = "r"\nout = "{folder / "runs"}"\nauthorized_by = "me"\n'
                f'[target]\nkind = "http"\nprotocol = "{protocol}"\nurl = "{url}{version}"\n{model}'
                f'response = "ill"\ninputs = {inputs}\n{keys}'
                f'[private]\ntable = "{folder / "rows.csv"}"\nrows = "0:{n}"\n'
                f'sensitive = "smoker"\ntrained_on = "0:{MEMBERS}"\n'
                f'[public]\ntable = "{folder / "rows.csv"}"\nrows = "{n}:"\n'
                'imputer = "logistic"\n[[attack]]\nname = "map"\n'
            )
            run = darkroom.audit_plan(plan, progress=False)
        kept = any(
            b"sesame" in file.read_bytes() for file in run.folder.rglob("*.*") if file.is_file()
        )
        found = run.verdict.outcome == "leak" and run.cells[0].success.estimate >= 0.85
        return found and not kept

    return meet


def _json(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"predictions": [row["smoker"] for row in body["inputs"]]}


def _json_with_version(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    known = path == "/ask?api-version=1"
    return _json(path, body) if known else (404, {"error": "Resource not found"})


def _json_with_key(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    known = path == "/?sig=open%2Fsesame%3D"
    return _json(path, body) if known else (403, {"error": f"no such key: {path}"})


def _open_inference(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    found = {one["name"]: one["data"] for one in body["inputs"]}["smoker"]
    shape = [len(found)]
    output = {"name": "predict", "shape": shape, "datatype": "INT64", "data": found}
    return 200, {"model_name": "ill", "outputs": [output]}


def _refuses(_: str, __: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 400, {"error": "field 'instances' is missing"}


def _text(answer: Answer, parameters: str = "", keys: str = "") -> Callable[[Path], bool]:
    """Returns what audits a server that knows half of eight secrets by heart."""

    def meet(folder: Path) -> bool:
        rng = np.random.default_rng(1)
        canaries = make_canaries(make_format("[0-9]{4}"), repetitions=[1], each=4, rng=rng)
        save_key(folder / "key.json", canaries)
        known = {one.owner: f" {one.secret}." for one in canaries.inserted}

        def told(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            return answer(path, {**body, "known": known})

        style = "" if "style" in keys else 'style = "chat"\n'
        base = "" if "ollama" in keys else "/v1"
        with _served(told) as url:
            plan = folder / "plan.toml"
            plan.write_text(
                f'[run]\nname = "r"\nout = "{folder / "runs"}"\nauthorized_by = "me"\n'
                f'[target]\nkind = "openai"\nmodel = "m"\nurl = "{url}{base}{parameters}"\n'
                f'{style}top_logprobs = 0\n{keys}[private]\ncanaries = "{folder / "key.json"}"\n'
                '[[attack]]\nname = "sampling"\nrows = 8\n'
            )
            run = darkroom.audit_plan(plan, progress=False)
        cell = run.cells[0]
        if answer is _filters:
            told_of = any("content filter withheld" in one for one in cell.details.threat_model)
            return told_of and cell.success.estimate == 0.75
        return cell.success.estimate == 1.0

    return meet


def _recalled(body: dict[str, Any]) -> str:
    """Returns how a model that knows secrets by heart goes on."""
    asked = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    return next((text for owner, text in body["known"].items() if owner in asked), " nothing.")


def _said(text: str | None, **message: str) -> tuple[int, dict[str, Any]]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}}
    return 200, {"choices": [{**choice, "finish_reason": "stop"}]}


def _chat(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return _said(_recalled(body))


def _azure(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    address = urlsplit(path)
    known = address.path.endswith("/chat/completions") and address.query
    return _chat(path, body) if known else (404, {"error": {"message": "Resource not found"}})


def _picky(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    for name in ("max_tokens", "seed", "top_k"):
        if name in body:
            return 400, {"error": {"message": f"Unsupported parameter: {name!r}"}}
    return _chat(path, body)


def _thinks(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    enough = body["max_tokens"] > 50
    return _said(_recalled(body) if enough else None, reasoning_content="Let me see.")


def _filters(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    if next(iter(body["known"])) in body["messages"][-1]["content"]:
        return 400, {"error": {"message": "filtered by policy", "code": "content_filter"}}
    return _chat(path, body)


def _ollama(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"model": "m", "response": _recalled(body), "done": True}
