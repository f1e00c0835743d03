"""Servers that are not ours, with a model behind them: ``transformers serve`` and llama.cpp's.

Each runs as a process of its own on loopback, and is ended with the block that started it.
llama.cpp's comes with ``llama-cpp-python[server]``, in an environment of its own whose interpreter
``DARKROOM_LLAMA_PYTHON`` names.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.text.gguf_writer import write_gguf
from darkroom.demo.language_models import save_model
from darkroom.errors import RunError

START_SECONDS = 120
"""How long a server may take until it answers."""

LLAMA = "DARKROOM_LLAMA_PYTHON"


def llama_python() -> str:
    """Returns the interpreter that has llama.cpp's server, or nothing."""
    return os.environ.get(LLAMA, "")


@contextmanager
def transformers_serve(model: Any, tokenizer: Any, folder: Path) -> Iterator[tuple[str, str]]:
    """Serves a model with ``transformers serve``.

    Args:
        model: A ``PreTrainedModel``.
        tokenizer: Its tokenizer, with a chat template.
        folder: Where to save them.

    Yields:
        The address, up to ``/v1``, and what the model is called there.

    Raises:
        RunError: If it does not answer.
    """
    # Without it the server takes the likeliest token, whatever temperature is asked for.
    model.generation_config.do_sample = True
    save_model(model, tokenizer, folder)
    options = ["serve", str(folder), "--host", "127.0.0.1", "--device", "cpu"]
    command = [sys.executable, "-m", "transformers.cli.transformers", *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    with _running(command, folder, "health", environment) as address:
        yield f"{address}/v1", str(folder)


@contextmanager
def llama_server(model: Any, tokenizer: Any, folder: Path) -> Iterator[tuple[str, str]]:
    """Serves a GPT-2 with llama.cpp's server; see :func:`transformers_serve`.

    Raises:
        RunError: If it does not answer.
    """
    folder.mkdir(exist_ok=True)
    path = folder / "model.gguf"
    write_gguf(path, model, tokenizer)
    options = ["--model", str(path), "--host", "127.0.0.1", "--logits_all", "true"]
    options += ["--n_ctx", str(model.config.n_positions), "--n_threads", "1"]
    command = [llama_python(), "-m", "llama_cpp.server", *options]
    with _running(command, folder, "v1/models", dict(os.environ)) as address:
        yield f"{address}/v1", "served"


@contextmanager
def _running(
    command: Sequence[str], folder: Path, ready: str, environment: dict[str, str]
) -> Iterator[str]:
    """Starts a server on a free port, waits until it answers, and ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=output, stderr=output, env=environment
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/{ready}", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            if httpx.get(address, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise RunError(f"{server.args!r} does not answer: {said[0]}")
