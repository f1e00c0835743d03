"""Servers that are not ours, each guarded from the docs' own policy and asked by its own client."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.operating import programs
from benchmarks.guard.servers import darkroom, free_port, guard_running, served
from benchmarks.remote.environments import InstallError, bare_environment, python_with
from benchmarks.remote.mlserver import MLServer, MLServerError, fit_model, python_with_mlserver
from darkroom.guard.api_keys import hashed

PAGE = Path(__file__).resolve().parents[3] / "docs/how-to/servers-behind-the-guard.md"
KEY = "dk_unmodified"
BUDGET = 10

LIGHT = ("litserve", "fastapi", "numpy", "pillow", "python-multipart", "uvicorn")
MLFLOW = ("mlflow-skinny", "fastapi", "pandas", "scikit-learn", "skops", "uvicorn")


class Seen(NamedTuple):
    """What a client got for one request.

    Attributes:
        status: Of HTTP.
        rows: Of the request.
        said: Probabilities, or text.
    """

    status: int
    rows: int
    said: Any


Ask = Callable[[str], Seen]


class Case(NamedTuple):
    """One server.

    Attributes:
        name: The heading of its policy in the docs.
        client: What asks.
        serve: Starts it in a folder, and gives its address.
        ask: Asks it once, at an address.
        beyond: A path that must not be reached.
    """

    name: str
    client: str
    serve: Callable[[Path], AbstractContextManager[str]]
    ask: Ask
    beyond: str


def policies() -> dict[str, dict[str, Any]]:
    """Reads the docs: for each heading the words of the policy under it."""
    found: dict[str, dict[str, Any]] = {}
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        block = re.search(r"```toml\n(.*?)```", part, re.DOTALL)
        if block is not None:
            found[part.partition("\n")[0].strip()] = tomllib.loads(block[1])
    return found


def policy_of(name: str) -> dict[str, Any]:
    """Returns the whole of one: what every policy begins with, and what stands under a heading."""
    common = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert common is not None
    words = tomllib.loads(common[1])
    assert words["budget"][0]["rows"] == BUDGET
    words["client"][0]["key"] = hashed(KEY)
    return words | policies()[name]


# Servers


@contextmanager
def _program(name: str, packages: tuple[str, ...], text: str, folder: Path) -> Iterator[str]:
    python, port = python_with(name, packages), free_port()
    script, environment = folder / "server.py", bare_environment()
    script.write_text(text)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(python), str(script), str(port)],
            cwd=folder,
            env={**environment, "PATH": f"{python.parent}:{environment['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(900):
            if process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        if process.poll() is not None:
            raise InstallError(f"{name}: {(folder / 'log.txt').read_text()[-500:]}")
        time.sleep(1.0)  # some listen before they can answer
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _installed(
    name: str, packages: tuple[str, ...], text: str
) -> Callable[[Path], AbstractContextManager[str]]:
    return lambda folder: _program(name, packages, text, folder)


@contextmanager
def _mlserver(folder: Path) -> Iterator[str]:
    python = python_with_mlserver()
    fit_model(python, folder)
    server = MLServer(python, folder)
    try:
        yield server.url
    finally:
        server.stop()


def _shaped(folder: Path) -> AbstractContextManager[str]:
    """Serves what has the form of TensorFlow Serving and TorchServe, which need too much here."""
    del folder
    scores = [0.7345, 0.2155, 0.05]

    async def predict(request: Request) -> JSONResponse:
        asked = await request.json()
        columns = "inputs" in asked
        rows = len(asked["inputs"] if columns else asked["instances"])
        return JSONResponse({"outputs" if columns else "predictions": [scores] * rows})

    async def torchserve(_: Request) -> JSONResponse:
        return JSONResponse(dict(zip(("ada", "grace", "mary"), scores, strict=True)))

    routes = [
        Route("/v1/models/faces:predict", predict, methods=["POST"]),
        Route("/predictions/faces", torchserve, methods=["POST", "PUT"]),
    ]
    return served(Starlette(routes=routes))


# Clients


def _posted(path: str, rows: int, read: Callable[[Any], Any], **what: Any) -> Ask:
    """Returns a client that posts with httpx."""

    def ask(url: str) -> Seen:
        answer = httpx.post(
            f"{url}{path}", headers={"x-api-key": KEY}, trust_env=False, timeout=60, **what
        )
        return Seen(answer.status_code, rows, read(answer.json()) if answer.is_success else None)

    return ask


def _triton(url: str) -> Seen:
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException

    client = triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=60)
    rows = np.full((2, 3 * 32 * 32), 0.5, np.float32)
    asked = triton.InferInput("x", list(rows.shape), "FP32")
    asked.set_data_from_numpy(rows, binary_data=False)
    wanted = triton.InferRequestedOutput("predict_proba", binary_data=False)
    try:
        answer = client.infer("faces", [asked], outputs=[wanted], headers={"X-API-Key": KEY})
        return Seen(200, 2, answer.as_numpy("predict_proba").tolist())
    except InferenceServerException as error:
        return Seen(int(error.status() or 0), 2, None)
    finally:
        client.close()


def _openai(url: str) -> Seen:
    import openai

    messages: Any = [{"role": "user", "content": "hi"}]
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        try:
            parts = client.chat.completions.create(model="any", messages=messages, stream=True)
            said = "".join(one.choices[0].delta.content or "" for one in parts if one.choices)
        except openai.APIStatusError as error:
            return Seen(error.status_code, 1, None)
    return Seen(200, 1, said)


def _photo() -> bytes:
    import io

    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(kept, "PNG")
    return kept.getvalue()


def _torchserve(url: str) -> Seen:
    answer = httpx.put(
        f"{url}/predictions/faces", content=_photo(), headers={"x-api-key": KEY}, trust_env=False
    )
    return Seen(
        answer.status_code, 1, [list(answer.json().values())] if answer.is_success else None
    )


def cases() -> list[Case]:
    """Returns all servers."""
    rows = [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]
    frame = {"columns": ["a", "b", "c", "d"], "data": rows}
    photo = _photo()
    verify = _posted(
        "/verify",
        1,
        lambda said: [said["scores"]],
        files={"image": ("face.png", photo, "image/png")},
        data={"threshold": "0.6"},
    )
    columns = _posted(
        "/v1/models/faces:predict", 2, lambda said: said["outputs"], json={"inputs": rows}
    )
    invoked = _posted(
        "/invocations", 2, lambda said: said["predictions"], json={"dataframe_split": frame}
    )
    plain = _posted("/predict", 2, lambda said: said["scores"], json={"inputs": rows})
    light = "light-servers"
    return [
        Case("MLServer", "tritonclient", _mlserver, _triton, "/v2/repository/index"),
        Case("MLflow", "httpx", _installed("mlflow", MLFLOW, programs.MLFLOW), invoked, "/docs"),
        Case("LitServe", "httpx", _installed(light, LIGHT, programs.LITSERVE), plain, "/info"),
        Case(
            "FastAPI with uploads",
            "httpx",
            _installed(light, LIGHT, programs.FASTAPI),
            verify,
            "/openapi.json",
        ),
        Case("TensorFlow Serving", "httpx, shaped", _shaped, columns, "/v1/models/faces:classify"),
        Case("TorchServe", "httpx, shaped", _shaped, _torchserve, "/explanations/faces"),
        Case(
            "OpenAI", "openai", _installed(light, LIGHT, programs.LITSERVE_OPENAI), _openai, "/v1/x"
        ),
    ]


def server_claims() -> tuple[list[Claim], list[Table]]:
    """Guards each server and asks until its budget is spent."""
    table: list[list[object]] = []
    every = cases()
    for case in every:
        tell(f"guard: {case.name}, asked by {case.client}")
        try:
            table.append([case.name, case.client, *_guarded(case)])
        except (InstallError, MLServerError) as error:
            tell(str(error))
            table.append([case.name, case.client, False, None, None, None, None])
    held = sum(bool(row[2]) for row in table) / len(every)
    text = f"guard: share of {len(every)} servers held by the docs' own policy, clients unmodified"
    columns = ("server", "client", "held", "rows answered", "raw", "when spent", "beyond")
    return [Claim(text, 1.0, held)], [
        Table(f"Servers behind the guard, {BUDGET} rows a day", columns, table)
    ]


def _guarded(case: Case) -> list[object]:
    with tempfile.TemporaryDirectory(prefix="darkroom-servers-") as name, ExitStack() as stack:
        folder, own = Path(name) / "guard", Path(name) / "server"
        own.mkdir()
        upstream = stack.enter_context(case.serve(own))
        words = policy_of(case.name) | {"upstream": {"url": upstream}}
        words["log"] = {"path": "audit.log"}
        running = stack.enter_context(guard_running(folder, words, upstream))
        good = subprocess.run(
            darkroom("guard", "check", str(running.policy)), capture_output=True, check=False
        )
        url = f"http://127.0.0.1:{running.port}"
        bare = case.ask(upstream).said
        seen = [case.ask(url) for _ in range(BUDGET + 2)]
        beyond = httpx.get(
            f"{url}{case.beyond}", headers={"x-api-key": KEY}, trust_env=False
        ).status_code
        answered = [one for one in seen if one.status == 200]
        rows, raw = sum(one.rows for one in answered), sum(_raw(one.said, bare) for one in answered)
        charged = sum(json.loads(line)["rows"] for line in (folder / "audit.log").open())
    spent = seen[-1].status
    held = good.returncode == 0 and 0 < rows <= charged <= BUDGET and not raw
    return [held and spent == 429 and beyond == 404, rows, raw, spent, beyond]


def _raw(said: Any, bare: Any) -> int:
    """Counts scores that are those of the server itself, to the last digit."""
    if isinstance(said, str):
        return 0
    scores, own = np.asarray(said, float).ravel(), np.asarray(bare, float).ravel()
    own = own[(own != 0) & (own != 1)]
    return int((np.abs(scores[:, None] - own) < 1e-9).any(axis=1).sum())
