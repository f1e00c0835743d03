"""Training defences on the nets that users have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.needs import needed
from torch import Tensor, nn
from torch.nn import functional

from darkroom.errors import PlanError
from darkroom.images.training.erasing import RandomErasing
from darkroom.training.frozen import learning, released
from darkroom.training.record_gradients import RecordGradients
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.course import ImageCourse, Recipe
from darkroom.vision.training.dp_sgd import PrivateSGD

CLASSES, SIDE = 3, 8
PIXELS = SIDE * SIDE


def photos() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(CLASSES), 4)
    faces = rng.random((CLASSES, 1, SIDE, SIDE))
    images = 0.7 * faces[people] + 0.3 * rng.random((len(people), 1, SIDE, SIDE))
    return images.astype(np.float32), people


def train(module: nn.Module, defense: ImageTraining) -> nn.Module:
    recipe = Recipe(epochs=2, batch=6)
    return defense.train(ImageCourse.of(module, *photos(), seed=0, recipe=recipe)).model


def private() -> PrivateSGD:
    needed("opacus")
    return PrivateSGD(epsilon=8.0, epochs=2, batch=6)


class InPlace(nn.Sequential):
    """Works in place."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 2, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(2 * PIXELS, CLASSES),
        )


class Added(InPlace):
    """Adds in place in its forward."""

    def forward(self, images: Tensor) -> Tensor:
        inside = self[0](images)
        inside += 1
        answer: Tensor = self[3](inside.flatten(1))
        return answer


class Unused(InPlace):
    """Has a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self[3](self[0](images).flatten(1))
        return answer


class Functional(nn.Module):
    """Uses the weights of a layer that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(PIXELS, 6), nn.Linear(6, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.last(functional.linear(images.flatten(1), self.first.weight))
        return answer


class Mixing(nn.Module):
    """Takes the mean of its batch away, in training."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(PIXELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1)
        answer: Tensor = self.last(rows - rows.mean(0) if self.training else rows)
        return answer


class Mean(nn.Linear):
    """A layer that keeps a mean of what it has seen."""

    seen: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("seen", torch.zeros(inputs))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that PyTorch has
        if self.training:
            self.seen += input.detach().mean(0)
        return super().forward(input)


class Keeping(nn.Module):
    """Has such a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.last = Mean(PIXELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.last(images.flatten(1))
        return answer


class Drawing(Mixing):
    """Does the same, and drops some of the pixels at random."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(functional.dropout(images, 0.2, self.training))


class Running(nn.Module):
    """Keeps a mean of what it has seen, and has no weight that learns."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(PIXELS))

    def forward(self, rows: Tensor) -> Tensor:
        if self.training:
            self.seen += rows.detach().mean(0)
        return rows


class KeepingBefore(nn.Sequential):
    """Has such a layer before one that learns."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), Running(), nn.Linear(PIXELS, CLASSES))


class Tied(nn.Module):
    """Uses a layer's weight a second time where Opacus does not look."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(PIXELS, PIXELS), nn.Linear(PIXELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        inside = functional.linear(self.first(images.flatten(1)), self.first.weight)
        answer: Tensor = self.last(inside)
        return answer


class Frozen(nn.Module):
    """Has a backbone with batch normalisation that its user froze."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).requires_grad_(False)
        self.last = nn.Linear(2 * (SIDE - 2) ** 2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.last(self.back(images).flatten(1))
        return answer


@pytest.mark.medium
@pytest.mark.parametrize(
    "kind",
    [InPlace, *(pytest.param(one, marks=pytest.mark.slow) for one in (Unused, Added, Functional))],
)
def test_private_training_trains(kind: type[nn.Module]) -> None:
    module = kind()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    after = train(module, private()).state_dict()
    idle = {name for name in before if torch.equal(after[name], before[name])}
    # Noise alone moves a weight that nothing uses.
    assert idle == set()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.medium
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Mixing, "no epsilon would hold"),
        (Drawing, "no epsilon would hold"),
        (Keeping, r"last\.seen keeps numbers of the records"),
        (KeepingBefore, r"1\.seen keeps numbers of the records"),
    ],
)
def test_private_training_says_why_not(kind: type[nn.Module], words: str) -> None:
    with pytest.raises(PlanError, match=words) as caught:
        train(kind(), private())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "alone"), [(InPlace, False), (Unused, False), (Added, True), (Tied, True)]
)
def test_gradients_of_single_records_are_right(kind: type[nn.Module], alone: bool) -> None:
    needed("opacus")
    images, people = map(torch.as_tensor, photos())
    module = released(kind(), learning(kind()))
    weights, rows = list(module.parameters()), torch.tensor([3, 0, 7])
    for weight in weights:
        weight.grad = torch.ones_like(weight)  # as a training before leaves it

    def losses(asked: nn.Module, some: Tensor) -> Tensor:
        return functional.cross_entropy(asked(images[some]), people[some], reduction="sum")

    gradients = RecordGradients(module, losses, weights, "test")
    gradients.fill(rows)
    assert gradients.alone == alone
    found = [weight.grad_sample for weight in weights]  # type: ignore[attr-defined]
    gradients.close()
    for place, row in enumerate(rows):
        loss = losses(module, row[None])
        single = torch.autograd.grad(loss, weights, allow_unused=True)
        for every, one in zip(found, single, strict=True):
            wanted = torch.zeros_like(every[place]) if one is None else one
            torch.testing.assert_close(every[place], wanted)


@pytest.mark.medium
@pytest.mark.parametrize("name", ["none", "random-erasing", "dp-sgd"])
def test_what_the_user_froze_stays_frozen(name: str) -> None:
    defenses: dict[str, Callable[[], ImageTraining]] = {
        "none": Undefended,
        "random-erasing": RandomErasing,
        "dp-sgd": private,
    }
    module = Frozen()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    after = train(module, defenses[name]()).state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before if key.startswith("back"))
    assert not torch.equal(after["last.weight"], before["last.weight"])


def test_a_module_that_is_all_frozen_is_trained() -> None:
    module = Frozen().requires_grad_(False)
    before = module.state_dict()["back.0.weight"].clone()
    assert not torch.equal(train(module, Undefended()).state_dict()["back.0.weight"], before)


def test_erasing_paints_one_rectangle_of_the_share_asked_for() -> None:
    defense = RandomErasing(least=0.2, most=0.3)
    images, colour = torch.zeros(200, 1, 40, 40), torch.ones(1)
    painted = defense.erased(images, colour, torch.Generator().manual_seed(0))[:, 0]
    shares = painted.mean(dim=(1, 2))
    assert 0.17 < float(shares.min()) < float(shares.max()) < 0.33
    for image in painted[:20]:
        rows, columns = image.amax(1).sum(), image.amax(0).sum()
        assert float(rows * columns) == float(image.sum())
    assert len({image.numpy().tobytes() for image in painted}) > 100


@pytest.mark.parametrize("wrong", [{"least": 0.0}, {"most": 1.0}, {"least": 0.5}, {"stretch": 0.5}])
def test_rectangles_that_there_are_not(wrong: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="random-erasing"):
        RandomErasing(**wrong)
