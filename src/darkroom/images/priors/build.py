"""Priors by the names that plans use, fitted on public photos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.errors import PlanError, nearest, require_known
from darkroom.images.priors.autoencoder import train_variational_autoencoder
from darkroom.images.priors.base import ImagePrior
from darkroom.images.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.images.targets.base import ImageSpec
from darkroom.images.targets.load import load_module
from darkroom.named import wrong_value


class Materials(NamedTuple):
    """What a prior can be made from.

    Attributes:
        photos: Public photos, ``(n, channels, height, width)`` in the target's range; maybe none.
        spec: The target's images.
        seed: For whatever is random.
        folder: Where files and modules of one's own are looked for.
        advance: Told how much is done, and of how much.
    """

    photos: NDArray[np.float32]
    spec: ImageSpec
    seed: int
    folder: Path
    advance: Callable[[int, int], None] | None = None


class PriorConfiguration(BaseModel, ABC):
    """The parameters of one kind of prior, as a plan gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def build(self, materials: Materials) -> ImagePrior:
        """Fits, trains or loads the prior.

        Raises:
            PlanError: If a parameter is missing.
            DataError: If there are too few public photos.
            TargetError: If a generator of one's own cannot be loaded.
        """


class MeanConfiguration(PriorConfiguration):
    """Free pixels from the ``average`` of the public photos, or from ``black``."""

    start: Literal["average", "black"] = "average"

    def build(self, materials: Materials) -> ImagePrior:
        """Averages the photos."""
        if self.start == "black":
            return MeanPrior.black(materials.spec)
        return MeanPrior.fit(materials.photos, materials.spec)


class EigenfacesConfiguration(PriorConfiguration):
    """Principal components of the public photos."""

    components: int = Field(default=150, ge=1)
    augmentation: int = Field(default=7, ge=0)
    reach: float = Field(default=1.0, gt=0)

    def build(self, materials: Materials) -> ImagePrior:
        """Finds the components."""
        return EigenfacePrior.fit(
            materials.photos,
            materials.spec,
            components=self.components,
            augmentation=self.augmentation,
            reach=self.reach,
            seed=materials.seed,
            on_progress=materials.advance,
        )


class GeneratorConfiguration(PriorConfiguration):
    """A variational autoencoder trained on the public photos, or with ``load`` one's own."""

    load: str | None = None
    weights: Path | None = None
    latent: int | None = Field(default=None, ge=1)
    unit_range: bool = True
    steps: int | None = Field(default=None, ge=1)

    def build(self, materials: Materials) -> ImagePrior:
        """Trains or loads the generator."""
        if self.load is None:
            chosen = {key: getattr(self, key) for key in ("latent", "steps")}
            return train_variational_autoencoder(
                materials.photos,
                materials.spec,
                seed=materials.seed,
                on_progress=materials.advance,
                **{key: value for key, value in chosen.items() if value is not None},
            )
        if self.latent is None:
            raise PlanError("prior generator: latent is missing: say how many coordinates it takes")
        weights = None if self.weights is None else materials.folder / self.weights
        module = load_module(self.load, weights, folder=materials.folder)
        return GeneratorPrior(module, self.latent, materials.spec, unit_range=self.unit_range)


PRIORS: dict[str, type[PriorConfiguration]] = {
    "mean": MeanConfiguration,
    "eigenfaces": EigenfacesConfiguration,
    "generator": GeneratorConfiguration,
}


def configure_prior(name: str, parameters: dict[str, Any]) -> PriorConfiguration:
    """Checks a plan's words for a prior.

    Args:
        name: One of :data:`PRIORS`.
        parameters: Fields of its configuration; the others keep their defaults.

    Raises:
        PlanError: If there is no such prior or parameter, or a value is wrong.
    """
    if name not in PRIORS:
        raise PlanError(f"no prior is called {name!r}: {nearest(name, PRIORS)}")
    known = PRIORS[name].model_fields
    require_known(f"prior {name}", parameters, known)
    try:
        return PRIORS[name].model_validate(parameters)
    except ValidationError as error:
        raise wrong_value(f"prior {name}", error) from error
