from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.crowd import SHAPE, make_crowd
from torch import Tensor, nn

from darkroom.verifiers.attacks.base import Knowledge
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.base import Encoder
from darkroom.verifiers.targets.encoders import FunctionEncoder, TorchEncoder
from darkroom.vision.photos import Photos
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec(SHAPE)


class Projection(nn.Module):
    """Averages areas and projects: people whose features differ lie apart."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.line = nn.Linear(14 * 12, 24, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        small = nn.functional.avg_pool2d(images, 2)
        centred = small - small.mean(dim=(2, 3), keepdim=True)
        found: Tensor = self.line(centred.flatten(1)) - self.line.weight.mean()
        return found


def scrambled(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Templates that have nothing to do with what a photo shows: nothing can be found here."""
    keys = np.ascontiguousarray((images * 255).round().astype(np.uint8)).reshape(len(images), -1)
    weights = np.arange(1, keys.shape[1] + 1, dtype=np.uint64) * np.uint64(2654435761)
    seeds = (keys.astype(np.uint64) * weights).sum(axis=1)
    return np.stack([np.random.default_rng(int(seed)).standard_normal(24) for seed in seeds])


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small run slower on more threads when other work shares the processor."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def photos_of(people: int, each: int, seed: int) -> Photos:
    images, who = make_crowd(people, seed).draw(each, seed + 100)
    return Photos.of(images, who)


def write_photos(folder: Path) -> None:
    """Writes ``enrolled.npz`` with six people and ``strangers.npz`` with sixty."""
    for name, photos in (("enrolled", photos_of(6, 6, 1)), ("strangers", photos_of(60, 2, 2))):
        np.savez(folder / f"{name}.npz", images=photos.images, people=photos.people)


@pytest.fixture(scope="session")
def enrolling() -> Callable[[Encoder], VerifierSubject]:
    """Enrols six people at an encoder, with sixty strangers whom the attacker has."""
    private, public, apart = photos_of(6, 6, 1), photos_of(60, 2, 2), photos_of(80, 2, 3)

    def enrolled(encoder: Encoder) -> VerifierSubject:
        return enrol(encoder, private, private.numbers < 3, public, apart, false_accepts=0.01)

    return enrolled


@pytest.fixture(scope="session")
def leaky(enrolling: Callable[[Encoder], VerifierSubject]) -> VerifierSubject:
    return enrolling(TorchEncoder(Projection(), SPEC))


@pytest.fixture(scope="session")
def silent(enrolling: Callable[[Encoder], VerifierSubject]) -> VerifierSubject:
    return enrolling(FunctionEncoder(scrambled, SPEC, name="scrambled"))


@pytest.fixture(scope="session")
def knowledge(leaky: VerifierSubject) -> Knowledge:
    public = leaky.public
    prior = EigenfacePrior.fit(public.images, SPEC, components=40, seed=0)
    return Knowledge(prior, public.images, public.people)
