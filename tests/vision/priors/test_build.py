"""Priors by the words of a plan."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from darkroom.errors import DataError, PlanError, TargetError
from darkroom.vision.priors.build import PRIORS, Materials
from darkroom.vision.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 8, 8))

MODULE = """\
from torch import nn

def small():
    return nn.Sequential(nn.Linear(3, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))

def large():
    return nn.Sequential(nn.Linear(3, 100), nn.Unflatten(1, (1, 10, 10)))
"""


@pytest.fixture
def materials(tmp_path: Path) -> Iterator[Materials]:
    (tmp_path / "own_generator.py").write_text(MODULE)
    photos = np.random.default_rng(0).random((16, *SPEC.shape), np.float32)
    yield Materials(photos, SPEC, 0, tmp_path)
    sys.modules.pop("own_generator", None)


@pytest.mark.parametrize(
    ("name", "parameters", "kind", "latent"),
    [
        ("mean", {}, MeanPrior, (1, 8, 8)),
        ("mean", {"start": "black"}, MeanPrior, (1, 8, 8)),
        ("eigenfaces", {}, EigenfacePrior, (64,)),
        ("eigenfaces", {"components": 5, "augmentation": 0}, EigenfacePrior, (5,)),
        ("generator", {"load": "own_generator:small", "latent": 3}, GeneratorPrior, (3,)),
        ("generator", {"steps": 2, "latent": 4}, GeneratorPrior, (4,)),
    ],
)
def test_every_prior_and_its_parameters(
    materials: Materials,
    name: str,
    parameters: dict[str, Any],
    kind: type,
    latent: tuple[int, ...],
) -> None:
    prior = PRIORS.make(name, parameters).build(materials)
    assert isinstance(prior, kind)
    assert (prior.name, prior.spec, prior.latent_shape) == (name, SPEC, latent)
    assert prior.decode(prior.start()[None]).shape == (1, *SPEC.shape)


def test_every_prior_has_a_name_of_its_own() -> None:
    assert sorted(PRIORS.own) == ["eigenfaces", "generator", "mean"]


def test_start_chooses_between_the_average_and_black(materials: Materials) -> None:
    black = PRIORS.make("mean", {"start": "black"}).build(materials)
    average = PRIORS.make("mean", {}).build(materials)
    assert float(black.decode(black.start()[None]).max()) == 0
    np.testing.assert_allclose(
        average.decode(average.start()[None])[0], materials.photos.mean(axis=0), atol=1e-6
    )


def test_black_needs_no_photos(materials: Materials) -> None:
    none = materials._replace(photos=materials.photos[:0])
    PRIORS.make("mean", {"start": "black"}).build(none)
    for name in PRIORS.own:
        with pytest.raises(DataError, match="public photos but got 0"):
            PRIORS.make(name, {}).build(none)


def test_a_generator_with_weights_beside_the_plan(materials: Materials) -> None:
    layer = nn.Linear(3, 64)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, torch.logit(torch.tensor(0.3)).item())
    state = {f"0.{key}": value.detach() for key, value in layer.named_parameters()}
    save_file(state, materials.folder / "own.safetensors")
    parameters = {"load": "own_generator:small", "latent": 3, "weights": "own.safetensors"}
    prior = PRIORS.make("generator", parameters).build(materials)
    torch.testing.assert_close(prior.decode(torch.ones(1, 3)), torch.full((1, *SPEC.shape), 0.3))


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("eigenface", {}, "no prior is called 'eigenface': did you mean 'eigenfaces'"),
        ("eigenfaces", {"component": 3}, "no parameter 'component': did you mean 'components'"),
        ("eigenfaces", {"components": 0}, "prior eigenfaces: components: "),
        ("eigenfaces", {"components": "many"}, "got 'many'"),
        ("eigenfaces", {"augmentation": -1}, "prior eigenfaces: augmentation: "),
        ("mean", {"start": "white"}, "'average' or 'black', got 'white'"),
        ("mean", {"components": 3}, "prior mean has no parameter 'components'"),
        ("generator", {"latent": 0}, "prior generator: latent: "),
    ],
)
def test_words_that_name_nothing(name: str, parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        PRIORS.make(name, parameters)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "error", "expected"),
    [
        ({"load": "own_generator:small"}, PlanError, "latent is missing"),
        ({"load": "own_generator:none", "latent": 3}, TargetError, "no callable none"),
        ({"load": "own_generator:large", "latent": 3}, DataError, r"\[1, 10, 10\], but"),
        ({"load": "own_generator:small", "latent": 4}, DataError, "cannot take 4 latent"),
        (
            {"load": "own_generator:small", "latent": 3, "weights": "none.pt"},
            TargetError,
            "no such file of weights",
        ),
    ],
)
def test_a_generator_of_ones_own_that_does_not_do(
    materials: Materials, parameters: dict[str, Any], error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        PRIORS.make("generator", parameters).build(materials)
