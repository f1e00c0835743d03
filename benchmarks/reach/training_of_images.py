"""Users' own nets under training defences: each is trained, or refused with what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.reach.rows import Row
from darkroom.images.training.erasing import RandomErasing
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.course import ImageCourse, Recipe
from darkroom.vision.training.dp_sgd import PrivateSGD

CLASSES, SIDE = 4, 12
PIXELS = SIDE * SIDE


class Net(nn.Module):
    """A net by a function; its layers are found by name."""

    def __init__(self, ask: Callable[[Net, Tensor], Tensor], **layers: nn.Module) -> None:
        """Takes its layers."""
        super().__init__()
        self.ask = ask
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        return self.ask(self, images)


def _plain(*before: nn.Module, channels: int = 1) -> nn.Module:
    return nn.Sequential(*before, nn.Flatten(), nn.Linear(channels * PIXELS, CLASSES))


def _flat(*before: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 16), *before, nn.Linear(16, CLASSES))


def _unused() -> nn.Module:
    return Net(
        lambda net, x: net.get_submodule("last")(x.flatten(1)),
        last=nn.Linear(PIXELS, CLASSES),
        idle=nn.Linear(3, 3),
    )


def _functional() -> nn.Module:
    def ask(net: Net, x: Tensor) -> Tensor:
        inside = functional.linear(x.flatten(1), net.get_parameter("first.weight"))
        return net.get_submodule("last")(inside)  # type: ignore[no-any-return]

    return Net(ask, first=nn.Linear(PIXELS, 8), last=nn.Linear(8, CLASSES))


def _added() -> nn.Module:
    def ask(net: Net, x: Tensor) -> Tensor:
        inside = net.get_submodule("first")(x)
        inside += x
        return net.get_submodule("last")(inside.flatten(1))  # type: ignore[no-any-return]

    return Net(ask, first=nn.Conv2d(1, 1, 3, padding=1), last=nn.Linear(PIXELS, CLASSES))


def _mixing() -> nn.Module:
    def ask(net: Net, x: Tensor) -> Tensor:
        rows = x.flatten(1)
        return net.get_submodule("last")(rows - rows.mean(0))  # type: ignore[no-any-return]

    return Net(ask, last=nn.Linear(PIXELS, CLASSES))


def _frozen() -> nn.Module:
    back = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)).requires_grad_(False)
    return nn.Sequential(back, nn.Flatten(), nn.Linear(2 * PIXELS, CLASSES))


def _photos() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(CLASSES), 10)
    faces = rng.random((CLASSES, 1, SIDE, SIDE))
    images = 0.7 * faces[people] + 0.3 * rng.random((len(people), 1, SIDE, SIDE))
    return images.astype(np.float32), people


def _learns(
    make: Callable[[], nn.Module], defense: Callable[[], ImageTraining]
) -> Callable[[Path], bool]:
    """Trains; tells whether the net knows its people, and the user's module is as it was."""

    def meet(folder: Path) -> bool:
        del folder
        torch.manual_seed(0)
        module, (images, people) = make(), _photos()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        frozen = [name for name, one in module.named_parameters() if not one.requires_grad]
        course = ImageCourse.of(module, images, people, seed=0, recipe=Recipe(epochs=15, batch=20))
        trained = defense().train(course).model
        with torch.no_grad():
            named = trained(torch.from_numpy(images)).argmax(1).numpy()
        after = trained.state_dict()
        kept = all(torch.equal(after[name], before[name]) for name in frozen)
        same = all(torch.equal(one, before[name]) for name, one in module.state_dict().items())
        return bool((named == people).mean() >= 0.6 and kept and same)

    return meet


def _private() -> ImageTraining:
    return PrivateSGD(epsilon=50.0, batch=20, epochs=40, learning_rate=0.1)


def _grouped() -> ImageTraining:
    return PrivateSGD(epsilon=50.0, batch=20, epochs=40, learning_rate=0.1, group_norm=True)


def rows() -> Iterator[Row]:
    """Yields what people have."""

    # Made within each row, whose seed decides their weights.
    def conv() -> nn.Module:
        return nn.Conv2d(1, 2, 3, padding=1)

    def norm() -> nn.Module:
        return nn.BatchNorm2d(2)

    nets: tuple[tuple[str, Callable[[], nn.Module], Callable[[], ImageTraining], str], ...] = (
        ("in-place ReLU", lambda: _plain(conv(), nn.ReLU(inplace=True), channels=2), _private, ""),
        ("a layer that is never used", _unused, _private, ""),
        ("weights used by a functional call", _functional, _private, ""),
        ("an addition in place", _added, _private, ""),
        ("batch normalisation", lambda: _plain(conv(), norm(), channels=2), _private, "group_norm"),
        ("batch normalisation, replaced", lambda: _plain(conv(), norm(), channels=2), _grouped, ""),
        ("a batch's mean", _mixing, _private, "take out what mixes rows"),
        ("a frozen backbone with batch normalisation", _frozen, _private, ""),
    )
    for what, make, defense, way in nets:
        yield Row("Opacus", what, _learns(make, defense), way)
    yield Row("PyTorch", "a frozen backbone, undefended", _learns(_frozen, Undefended))
    erasing = _learns(lambda: _flat(nn.ReLU(inplace=True)), RandomErasing)
    yield Row("PyTorch", "in-place ReLU under random erasing", erasing)
