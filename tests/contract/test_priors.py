"""Every prior of every kind keeps its promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from darkroom.auditing.packing import pack, unpack
from darkroom.named import describe
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.build import TABLE_PRIORS, TablePriorConfiguration
from darkroom.tables.priors.counts import Probabilities, TablePrior, UniformPrior
from darkroom.tables.schema import Rows
from darkroom.testing.images.priors import check_prior
from darkroom.testing.tables.priors import check_prior as check_table_prior
from darkroom.testing.tables.small import small_rows, small_schema
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import PRIORS, Materials, PriorConfiguration
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

OF_IMAGES = [
    PRIORS.make(name, parameters)
    for name, parameters in (
        ("mean", {}),
        ("mean", {"start": "black"}),
        ("eigenfaces", {}),
        ("eigenfaces", {"components": 5, "augmentation": 0, "reach": 0.5}),
        ("generator", {"steps": 20, "latent": 4}),
    )
]
OF_TABLES = [
    TABLE_PRIORS.make(name, parameters)
    for name, parameters in (
        ("uniform", {}),
        ("marginals", {"smoothing": 2.0}),
        ("conditional", {"given": ["a"]}),
        ("imputation", {}),
        ("imputation", {"model": "forest"}),
    )
]


def test_the_tables_have_every_prior() -> None:
    assert {one.name for one in OF_IMAGES} == set(PRIORS.own)
    assert {one.name for one in OF_TABLES} == set(TABLE_PRIORS.own)


@pytest.mark.medium
@pytest.mark.parametrize("prior", OF_IMAGES, ids=describe)
def test_every_prior_of_images_keeps_its_promises(prior: PriorConfiguration) -> None:
    check_prior(prior)


@pytest.mark.medium
@pytest.mark.parametrize("prior", OF_TABLES, ids=repr)
def test_every_prior_of_tables_keeps_its_promises(prior: TablePriorConfiguration) -> None:
    check_table_prior(prior)


@pytest.mark.medium
@pytest.mark.parametrize("prior", OF_IMAGES, ids=describe)
def test_a_prior_of_images_that_was_kept_answers_as_the_one_that_was_made(
    prior: PriorConfiguration,
) -> None:
    photos = np.random.default_rng(0).random((20, 1, 16, 16), np.float32)
    made = prior.build(Materials(photos, ImageSpec((1, 16, 16)), 0, Path()))
    kept = unpack(pack(made))
    latents = made.draw(5, torch.Generator().manual_seed(0))
    assert torch.equal(kept.decode(latents), made.decode(latents))
    assert torch.equal(kept.energy(latents), made.energy(latents))
    assert torch.equal(kept.start(), made.start())


@pytest.mark.medium
@pytest.mark.parametrize("prior", OF_TABLES, ids=repr)
def test_a_prior_of_tables_that_was_kept_answers_as_the_one_that_was_made(
    prior: TablePriorConfiguration,
) -> None:
    rows = small_rows(300, seed=2)
    made = prior.build(Candidates.of(small_schema()), rows, 0)
    kept = unpack(pack(made))
    np.testing.assert_array_equal(kept.probabilities(rows), made.probabilities(rows))


class Bent(MeanPrior):
    """Breaks one promise."""

    name: ClassVar[str] = "bent"
    lie = ""

    def decode(self, latents: Tensor) -> Tensor:
        images = super().decode(latents)
        if self.lie == "range":
            return images + self.spec.width_of_range
        return images.detach() if self.lie == "gradients" else images

    def energy(self, latents: Tensor) -> Tensor:
        energy = super().energy(latents)
        if self.lie == "start":
            return -energy
        return energy - energy.mean() if self.lie == "rows" else energy

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        if self.lie == "global":
            return torch.randn(n, *self.latent_shape)
        return super().draw(n, generator)

    def project(self, latents: Tensor) -> Tensor:
        return 0.9 * latents if self.lie == "project" else super().project(latents)


@dataclass(frozen=True)
class BentConfiguration(PriorConfiguration):
    """Makes what breaks one promise."""

    name: ClassVar[str] = "bent"

    lie: str = ""

    def build(self, materials: Materials) -> ImagePrior:
        fitted = Bent.fit(materials.photos, materials.spec)
        fitted.lie = self.lie  # type: ignore[attr-defined]
        return fitted


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("range", "out of the range"),
        ("gradients", "have no gradients"),
        ("start", "starts where others have less energy"),
        ("rows", "the energy of a row hangs on the others"),
        ("global", "draws from a global source of randomness"),
        ("project", "projects what is within its bounds"),
    ],
)
def test_a_broken_promise_is_named(lie: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_prior(BentConfiguration(lie))


class BentTable(UniformPrior):
    """Breaks one promise."""

    name: ClassVar[str] = "bent"
    lie = ""

    def probabilities(self, known: Rows) -> Probabilities:
        found = super().probabilities(known)
        if self.lie == "sums":
            return found / 2
        if self.lie == "peeks":
            rare = known[:, self.candidates.schema.hidden[0]] == 2
            found[rare] = [0.2, 0.2, 0.6]
        if self.lie == "rows" and len(known) > 1:
            found[:] = [0.2, 0.2, 0.6]
        return found


@dataclass(frozen=True)
class BentTableConfiguration(TablePriorConfiguration):
    """Makes what breaks one promise."""

    name: ClassVar[str] = "bent"

    lie: str = ""

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:
        made = BentTable(candidates)
        made.lie = self.lie
        if self.lie == "global":
            np.random.rand(1)  # noqa: NPY002
        return made


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("sums", "answers no probabilities"),
        ("peeks", "looks at what the attacker does not know"),
        ("rows", "a row's answer hangs on the others"),
        ("global", "draws from a global source of randomness"),
    ],
)
def test_a_broken_promise_of_tables_is_named(lie: str, sentence: str) -> None:
    check_table_prior(BentTableConfiguration())
    with pytest.raises(AssertionError, match=sentence):
        check_table_prior(BentTableConfiguration(lie))


def test_a_prior_is_called_the_same_when_it_is_made() -> None:
    @dataclass(frozen=True)
    class Other(BentConfiguration):
        name: ClassVar[str] = "other"

    values: Any = Other()
    with pytest.raises(AssertionError, match="prior other is called bent when fitted"):
        check_prior(values)
