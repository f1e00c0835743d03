"""Priors learn, and guesses are drawn, where the target is; nothing here needs a second device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.elsewhere import DEVICE, Elsewhere, There

from darkroom.vision.guesses import draws
from darkroom.vision.priors.build import GeneratorConfiguration, Materials
from darkroom.vision.priors.spaces import GeneratorPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 12, 10))
CPU = torch.device("cpu")


def trained(device: torch.device, steps: int = 4) -> GeneratorPrior:
    photos = np.random.default_rng(0).random((40, *SPEC.shape), np.float32)
    materials = Materials(photos, SPEC, 0, Path.cwd(), device=device)
    prior = GeneratorConfiguration(latent=6, steps=steps).build(materials)
    assert isinstance(prior, GeneratorPrior)
    return prior


def held(prior: GeneratorPrior) -> list[torch.Tensor]:
    assert prior._encoder is not None
    modules = (prior._generator, prior._encoder)
    return [one for module in modules for one in (*module.parameters(), *module.buffers())]


def decoded(prior: GeneratorPrior) -> torch.Tensor:
    with torch.no_grad():
        return prior.decode(prior.draw(9, torch.Generator().manual_seed(1)))


@pytest.mark.medium
def test_a_generator_trained_elsewhere_is_the_same_and_comes_back() -> None:
    here = trained(CPU)
    with Elsewhere() as elsewhere:
        there = trained(DEVICE)
        assert not any(isinstance(one.data, There) for one in held(there))
        assert elsewhere.crossings
        assert elsewhere.refused == elsewhere.doubles == []
        came = len(elsewhere.back)
        trained(DEVICE, steps=6)
        assert len(elsewhere.back) == 2 * came  # weights, at the end
    assert torch.allclose(decoded(here), decoded(there), atol=1e-4)


def test_guesses_decoded_elsewhere_are_the_same() -> None:
    prior = trained(CPU)

    def guesses(device: torch.device) -> NDArray[np.float32]:
        return np.concatenate([*draws(prior, 3, device)])

    expected = guesses(CPU)
    with Elsewhere() as elsewhere:
        found = guesses(DEVICE)
        assert len(elsewhere.back) == 4
        assert elsewhere.refused == elsewhere.doubles == []
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert expected.shape == (1000, *SPEC.shape)
