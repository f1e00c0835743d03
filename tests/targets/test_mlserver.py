"""A server that is not ours: MLServer with a scikit-learn face model, over the V2 protocol.

It pins libraries that ours do not, so it lives in an environment of its own, made once under
``.mlserver-venv``.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tests.needs import absent

from darkroom.access import Access
from darkroom.attacks.evolution import EvolutionAttack
from darkroom.data.employees import render_faces
from darkroom.ledger import QueryLedger
from darkroom.priors.images import EigenfacePrior
from darkroom.targets.base import Target
from darkroom.targets.http import HttpTarget
from darkroom.targets.load import open_target
from darkroom.targets.sections import OpenInferenceSection
from darkroom.targets.sklearn import SklearnTarget
from darkroom.targets.view import View

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
PEOPLE, PHOTOS, SIDE = 12, 6, 32
SHAPE = (3, SIDE, SIDE)
BATCH = 24
QUERIES = 30
"""Rounds of an attack; each asks about one batch."""


@pytest.fixture(scope="session")
def python() -> Path:
    """Python of an environment with MLServer."""
    home = ROOT / ".mlserver-venv"
    found, mark = home / "bin/python", home / "installed.txt"
    if not mark.is_file() or mark.read_text() != "\n".join(PACKAGES):
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", str(home)], [*pip, *PACKAGES]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                absent(f"MLServer cannot be installed: {done.stderr.strip()[-300:]}")
        mark.write_text("\n".join(PACKAGES))
    return found


class Model(NamedTuple):
    """A fitted face model.

    Attributes:
        folder: Holds ``model.joblib``.
        photos: What it was fitted on, ``(n, 3, side, side)``.
        same: The same model in this process.
    """

    folder: Path
    photos: NDArray[np.float32]
    same: LogisticRegression

    @property
    def here(self) -> SklearnTarget:
        """That as a target."""
        return SklearnTarget(self.same, SHAPE, batch=BATCH)


@pytest.fixture(scope="session")
def model(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("faces")
    photos = render_faces(PEOPLE, PHOTOS, size=SIDE).images.reshape(-1, *SHAPE)
    people = np.repeat(np.arange(PEOPLE), PHOTOS)
    np.savez(folder / "photos.npz", rows=photos.reshape(len(photos), -1), people=people)
    script = Path(__file__).with_name("train_for_mlserver.py")
    subprocess.run([str(python), str(script), str(folder)], check=True)
    same = LogisticRegression()
    with np.load(folder / "fitted.npz") as fitted:
        same.coef_, same.intercept_ = fitted["coefficients"], fitted["intercept"]
    same.classes_, same.n_features_in_ = np.arange(PEOPLE), photos[0].size
    # Rows are added up in 32 bits, in an order that depends on how many go together.
    return Model(folder, photos, same)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MLServer:
    """MLServer in a process of its own, which may be killed and started again."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder = python, folder
        ports = {f"{kind}_port": free_port() for kind in ("http", "grpc", "metrics")}
        self.url = f"http://127.0.0.1:{ports['http_port']}"
        self.metrics = f"http://127.0.0.1:{ports['metrics_port']}/metrics"
        settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
        (folder / "settings.json").write_text(json.dumps(settings))
        served = {
            "name": "faces",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib", "version": "v1"},
        }
        (folder / "model-settings.json").write_text(json.dumps(served))
        self.counted_before = 0.0
        self.start()

    def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(
                [str(self.python.with_name("mlserver")), "start", "."],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            assert self.process.poll() is None, (self.folder / "log.txt").read_text()[-2000:]
            try:
                if httpx.get(f"{self.url}/v2/models/faces/ready", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        pytest.fail("MLServer did not get ready within a minute")

    def kill(self) -> None:
        """Ends the server without warning; what it had counted until then is kept here."""
        self.counted_before = self.requests
        self.process.kill()
        self.process.wait()

    @property
    def requests(self) -> float:
        """Requests for inference that the server says it has answered, before it was killed too."""
        text = httpx.get(self.metrics, trust_env=False).text
        found = re.findall(r"^model_infer_request_success_total\{.*?\} (\S+)$", text, re.MULTILINE)
        return self.counted_before + sum(map(float, found))


@pytest.fixture
def server(python: Path, model: Model) -> Iterator[MLServer]:
    running = MLServer(python, model.folder)
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture
def remote(server: MLServer, request: pytest.FixtureRequest) -> Iterator[HttpTarget]:
    """The model over there; its requests have as many rows as the test's parameter says."""
    section = OpenInferenceSection(
        kind="http",
        protocol="v2",
        url=server.url,
        model="faces",
        output="predict_proba",
        shape=list(SHAPE),
        flat=True,
        batch=getattr(request, "param", BATCH),
        backoff=0.1,
    )
    target = open_target(section, authorized_by="the tests")
    assert isinstance(target, HttpTarget)
    yield target
    target.close()


def climb(view: View, goals: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """A small attack: random steps are kept where they raise the goal's confidence."""
    steps = BATCH // len(goals)
    images = np.full((len(goals), *SHAPE), 0.5, np.float32)
    best = np.zeros(len(goals))
    served, rows = np.repeat(np.arange(len(goals)), steps), np.arange(len(goals))
    for _ in range(QUERIES):
        noise = rng.standard_normal((len(served), 3, 4, 4)).astype(np.float32)
        noise = noise.repeat(SIDE // 4, axis=2).repeat(SIDE // 4, axis=3)
        tried = np.clip(images[served] + 0.1 * noise, 0, 1)
        scores = view.scores(tried, served)[np.arange(len(served)), goals[served]]
        scores = scores.reshape(len(goals), steps)
        chosen = scores.argmax(axis=1)
        better = scores[rows, chosen] > best
        images[better] = tried.reshape(len(goals), steps, *SHAPE)[rows, chosen][better]
        best = np.maximum(best, scores.max(axis=1))
    return images


def evolve(view: View, goals: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """The evolution strategy, with eigenfaces of strangers."""
    strangers = render_faces(30, 3, role="strangers", size=SIDE).images.reshape(-1, *SHAPE)
    prior = EigenfacePrior.fit(strangers, view.spec, components=40, augmentation=2)
    *_, last = EvolutionAttack(rows=QUERIES * BATCH // 3).run(view, prior, goals, rng=rng)
    return last.reconstructions


Attack = Callable[[View, NDArray[np.int64], np.random.Generator], NDArray[np.float32]]
ATTACKS: dict[str, Attack] = {"climb": climb, "evolution": evolve}
"""Attacks that must not notice whether the model is here or there."""

EVERY = pytest.mark.parametrize(
    # The server counts requests, so an attack whose batches differ in size sends row by row.
    ("name", "remote"),
    [("climb", BATCH), ("evolution", 1)],
    indirect=["remote"],
)


def reconstructed(
    attack: Attack, target: Target, between: Callable[[int], None] = lambda total: None
) -> tuple[NDArray[np.float32], int]:
    """Runs an attack and returns its images and the rows charged."""
    goals = np.array([0, 5, 11])
    ledger = QueryLedger(len(goals), on_charge=between)
    view = View(target, Access.SCORES, ledger)
    images = attack(view, goals, np.random.default_rng(7))
    return images, ledger.total


def test_the_same_scores_as_in_process(model: Model, remote: HttpTarget) -> None:
    assert remote.classes == PEOPLE
    here, there = model.here.scores(model.photos), remote.scores(model.photos)
    np.testing.assert_allclose(there, here, atol=1e-6)
    assert (here.argmax(axis=1) == np.repeat(np.arange(PEOPLE), PHOTOS)).mean() > 0.9
    alone = np.concatenate([remote.scores(model.photos[row : row + 1]) for row in range(8)])
    np.testing.assert_allclose(alone, there[:8], atol=1e-4)


@EVERY
def test_the_same_seed_gives_the_same_reconstructions(
    name: str, model: Model, remote: HttpTarget, server: MLServer, request: pytest.FixtureRequest
) -> None:
    before, batch = server.requests, request.node.callspec.params["remote"]
    there, rows = reconstructed(ATTACKS[name], remote)
    here, same_rows = reconstructed(ATTACKS[name], SklearnTarget(model.same, SHAPE, batch=batch))
    np.testing.assert_allclose(there, here, atol=1e-6)
    assert rows == same_rows
    assert rows == (server.requests - before) * batch, "rows counted are rows served"
    confidence = model.here.scores(here)[np.arange(3), [0, 5, 11]]
    assert (confidence > 2 / PEOPLE).all(), "the attack came somewhere"


@EVERY
def test_a_server_killed_in_mid_attack_costs_nothing_but_time(
    name: str, model: Model, remote: HttpTarget, server: MLServer, request: pytest.FixtureRequest
) -> None:
    before, batch = server.requests, request.node.callspec.params["remote"]
    restarts: list[threading.Thread] = []

    def between(total: int) -> None:
        if total >= QUERIES * BATCH // 2 and not restarts:
            server.kill()
            restarts.append(threading.Thread(target=server.start))
            restarts[0].start()

    there, rows = reconstructed(ATTACKS[name], remote, between)
    restarts[0].join()
    here, same_rows = reconstructed(ATTACKS[name], SklearnTarget(model.same, SHAPE, batch=batch))
    np.testing.assert_allclose(there, here, atol=1e-6)
    assert rows == same_rows
    assert rows == (server.requests - before) * batch, "rows counted are rows served"
