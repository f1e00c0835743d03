"""Sound subjects of many kinds are never accused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from tests.images.checks.conftest import PEOPLE, SHAPE, SHOTS, After, Before, World, checked
from torch import nn

from darkroom.access import Access
from darkroom.images.subject import Subject
from darkroom.images.targets.base import Target
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.vision.spec import ImageSpec


class Served(Target):
    """A net that others serve, which counts its rows."""

    name, outputs, served = "served", "labels", True

    def __init__(self, world: World, access: Access, noise: float = 0.0) -> None:
        self.spec, self.classes, self.access = ImageSpec(SHAPE), PEOPLE, access
        self.own, self.noise, self.rows = world.subject().target, noise, 0
        self.rng = np.random.default_rng(0)

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        self.rows += len(images)
        scores = self.own.scores(images)
        scores = scores + self.noise * self.rng.random(scores.shape)
        total: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return total

    def labels(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.asarray(self.scores(images).argmax(axis=1), np.int64)

    def fingerprint(self) -> str:
        return "served"


def linear(world: World) -> Subject:
    x = torch.from_numpy(world.images[world.seen]).flatten(1)
    y = torch.from_numpy(world.people[world.seen])
    means = torch.stack([x[y == person].mean(dim=0) for person in range(PEOPLE)])
    layer = nn.Linear(x.shape[1], PEOPLE)
    layer.weight.data, layer.bias.data = 2 * means, -(means**2).sum(dim=1)
    return world.subject(nn.Sequential(nn.Flatten(), layer))


def fitted(world: World, model: LogisticRegression | KNeighborsClassifier) -> Subject:
    model.fit(world.images[world.seen].reshape(-1, 3072), world.people[world.seen])
    return world.subject(SklearnTarget(model, SHAPE))


def weak(world: World) -> Subject:
    """A net whose confidences are noised by the photo, so that it is often wrong."""
    rough = torch.from_numpy(np.random.default_rng(0).normal(size=(PEOPLE, 3072))).float()

    def spoilt(x: torch.Tensor) -> torch.Tensor:
        answers, direction = (nn.functional.normalize(one) for one in (world.net(x), x.flatten(1)))
        return 10 * (answers + (30 * direction @ rough.T).sin())

    return world.subject(Before(nn.Identity(), spoilt))


def few(world: World) -> Subject:
    kept = world.people < 3
    given = {"images": world.images[kept], "people": world.people[kept], "seen": world.seen[kept]}
    return world.subject(After(world.net, lambda answers: answers[:, :3]), **given)


SOUND: dict[str, Callable[[World], Subject]] = {
    "convolutional net": lambda world: world.subject(),
    "no public photos": lambda world: world.subject(public=None),
    "all photos trained on": lambda world: world.subject(seen=np.ones(PEOPLE * SHOTS, bool)),
    "probabilities": lambda world: world.subject(
        After(world.net, lambda answers: answers.softmax(1)), outputs="probabilities"
    ),
    "log-probabilities": lambda world: world.subject(
        After(world.net, lambda answers: answers.log_softmax(1))
    ),
    "linear templates": linear,
    "logistic regression": lambda world: fitted(world, LogisticRegression(C=1e-3, max_iter=50)),
    "nearest neighbour": lambda world: fitted(world, KNeighborsClassifier(1)),
    "three people": few,
    "more classes than people": lambda world: world.subject(
        After(world.net, lambda answers: nn.functional.pad(answers, (0, 30), value=-20.0))
    ),
    "double precision": lambda world: world.subject(
        Before(After(world.net, lambda answers: answers.double()), lambda x: x)
    ),
    "served labels": lambda world: world.subject(Served(world, Access.LABEL)),
    "served scores with noise": lambda world: world.subject(Served(world, Access.SCORES, 0.05)),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_subject_is_not_accused(world: World, name: str) -> None:
    found = checked(SOUND[name](world))
    assert {check.outcome for check in found.values()} <= {"passed", "noted"}
    assert found["accuracy"].outcome == "passed"


def test_a_model_that_works_a_bit_is_noted(world: World) -> None:
    found = checked(weak(world))["accuracy"]
    assert (found.outcome, found.cause) == ("noted", "")
    assert "That is little" in found.found


def test_noise_of_a_server_is_noted_and_its_quota_spared(world: World) -> None:
    served = Served(world, Access.SCORES, noise=0.05)
    found = checked(world.subject(served))
    assert (found["answers"].outcome, found["answers"].cause) == ("noted", "random answers")
    assert served.rows <= 60
    lost = Served(world, Access.LABEL)
    lost.own = world.subject(Before(world.net, lambda x: x / 255)).target
    found = checked(world.subject(lost))
    assert (found["accuracy"].outcome, found["accuracy"].cause) == ("failed", "range")
    assert lost.rows <= 105


def test_a_model_without_gradients_is_audited_with_scores(world: World) -> None:
    subject = world.subject(Before(world.net, lambda x: torch.from_numpy(x.detach().numpy())))
    assert subject.target.access is Access.SCORES
    found = checked(subject)["gradient"]
    assert (found.outcome, found.cause) == ("noted", "no gradient")
    masked = world.subject(Before(world.net, lambda x: (255 * x).round() / 255 + 1e-6 * x))
    found = checked(masked)["gradient"]
    assert (found.outcome, found.cause) == ("noted", "no gradient")
    in_place = world.subject(nn.Sequential(nn.ReLU(inplace=True), world.net))
    assert in_place.target.access is Access.WEIGHTS
    before = subject.private.images.copy()
    checked(in_place)
    assert np.array_equal(in_place.private.images, before)
