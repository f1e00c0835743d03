"""A server that is not ours: MLServer with a scikit-learn face model, over the V2 protocol.

It pins libraries that ours do not, so it lives in an environment of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.guard.servers import free_port
from benchmarks.remote.environments import InstallError, bare_environment, python_with
from darkroom.demo.people.employees import render_faces
from darkroom.errors import DarkroomError
from darkroom.images.targets.http import HttpTarget
from darkroom.images.targets.load import open_target
from darkroom.images.targets.sections import OpenInferenceSection
from darkroom.images.targets.sklearn import SklearnTarget

PACKAGES = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
PEOPLE, PHOTOS, SIDE = 12, 6, 32
SHAPE = (3, SIDE, SIDE)
BATCH = 24


class MLServerError(DarkroomError):
    """MLServer cannot be installed here, or does not run."""


def python_with_mlserver() -> Path:
    """Returns the Python of an environment with MLServer, which is made where there is none.

    Raises:
        MLServerError: If it cannot be installed.
    """
    try:
        return python_with("mlserver", PACKAGES)
    except InstallError as error:
        raise MLServerError(str(error)) from error


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


def fit_model(python: Path, folder: Path) -> Model:
    """Fits a face model where MLServer runs, since that loads what its own libraries wrote.

    Args:
        python: Of :func:`python_with_mlserver`.
        folder: An empty one.
    """
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


class MLServer:
    """MLServer in a process of its own, which may be killed and started again."""

    def __init__(self, python: Path, folder: Path) -> None:
        """Starts it.

        Args:
            python: Of :func:`python_with_mlserver`.
            folder: The model's.

        Raises:
            MLServerError: If it does not get ready.
        """
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
        """Starts it, and waits until it is ready.

        Raises:
            MLServerError: If it does not get ready within a minute.
        """
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(
                [str(self.python.with_name("mlserver")), "start", "."],
                cwd=self.folder,
                env=bare_environment(),
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/v2/models/faces/ready", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        self.stop()
        raise MLServerError(f"MLServer: {(self.folder / 'log.txt').read_text()[-1000:]}")

    def kill(self) -> None:
        """Ends the server without warning; what it had counted until then is kept here."""
        self.counted_before = self.requests
        self.stop()

    def stop(self) -> None:
        """Ends the server for good."""
        self.process.kill()
        self.process.wait()

    @property
    def requests(self) -> float:
        """Requests for inference that the server says it has answered, before it was killed too."""
        text = httpx.get(self.metrics, trust_env=False).text
        found = re.findall(r"^model_infer_request_success_total\{.*?\} (\S+)$", text, re.MULTILINE)
        return self.counted_before + sum(map(float, found))


def remote_model(
    url: str, *, batch: int = BATCH, concurrency: int = 4, key_env: str | None = None
) -> HttpTarget:
    """Opens the model as an attacker reaches it.

    Args:
        url: The server's, or that of a guard in front of it.
        batch: Rows a request.
        concurrency: Requests at once.
        key_env: The environment variable with the guard's key.
    """
    section = OpenInferenceSection(
        kind="http",
        protocol="v2",
        url=url,
        model="faces",
        output="predict_proba",
        shape=list(SHAPE),
        flat=True,
        batch=batch,
        concurrency=concurrency,
        backoff=0.1,
        api_key_env=key_env,
    )
    target = open_target(section, authorized_by="the tests")
    assert isinstance(target, HttpTarget)
    return target
