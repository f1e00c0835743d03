"""A server that is not ours: MLServer with a scikit-learn face model, over the V2 protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.remote.mlserver import (
    BATCH,
    PEOPLE,
    PHOTOS,
    SHAPE,
    SIDE,
    MLServer,
    MLServerError,
    Model,
    fit_model,
    python_with_mlserver,
    remote_model,
)
from numpy.typing import NDArray
from tests.support.needs import absent

from darkroom.access import Access
from darkroom.demo.people.employees import render_faces
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.targets.base import Target
from darkroom.images.targets.http import HttpTarget
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.spaces import EigenfacePrior

pytestmark = pytest.mark.slow

QUERIES = 30
"""Rounds of an attack; each asks about one batch."""


@pytest.fixture(scope="session")
def python() -> Path:
    """Python of an environment with MLServer."""
    try:
        return python_with_mlserver()
    except MLServerError as error:
        absent(str(error))


@pytest.fixture(scope="session")
def model(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return fit_model(python, tmp_path_factory.mktemp("faces"))


@pytest.fixture
def server(python: Path, model: Model) -> Iterator[MLServer]:
    running = MLServer(python, model.folder)
    yield running
    running.stop()


@pytest.fixture
def remote(server: MLServer, request: pytest.FixtureRequest) -> Iterator[HttpTarget]:
    """The model over there; its requests have as many rows as the test's parameter says."""
    target = remote_model(server.url, batch=getattr(request, "param", BATCH))
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
