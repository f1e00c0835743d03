"""Priors by the names that plans use, fitted on public photos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from darkroom.errors import PlanError
from darkroom.named import Registry, is_ours
from darkroom.vision.memory import DEFAULT, SHARE
from darkroom.vision.networks.modules import load_module
from darkroom.vision.priors.autoencoder import train_variational_autoencoder
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.vision.spec import ImageSpec


class Materials(NamedTuple):
    """What a prior can be made from.

    Attributes:
        photos: Public photos, ``(n, channels, height, width)`` in the target's range; maybe none.
        spec: The target's images.
        seed: For whatever is random.
        folder: Where files and modules of one's own are looked for.
        advance: Told how much is done, and of how much.
        memory: Bytes that copies of the photos may take.
        device: Where networks are trained; the prior is on the processor all the same.
    """

    photos: NDArray[np.float32]
    spec: ImageSpec
    seed: int
    folder: Path
    advance: Callable[[int, int], None] | None = None
    memory: int = DEFAULT // SHARE
    device: torch.device = torch.device("cpu")


class PriorConfiguration(ABC):
    """A prior as a plan asks for it. Subclasses are frozen dataclasses of its parameters.

    Attributes:
        name: The word used in plans.
    """

    name: ClassVar[str]

    @property
    def from_photos(self) -> bool:
        """Whether parameters and photos alone decide it, so that it can be kept.

        One from outside may read a file, of which nothing is known here.
        """
        return is_ours(self)

    @abstractmethod
    def build(self, materials: Materials) -> ImagePrior:
        """Fits, trains or loads the prior.

        Raises:
            PlanError: If a parameter is missing.
            DataError: If there are too few public photos.
            TargetError: If a generator of one's own cannot be loaded.
        """


@dataclass(frozen=True)
class MeanConfiguration(PriorConfiguration):
    """Free pixels.

    Attributes:
        start: Where a search begins: the average of the public photos, or black, which needs none.
    """

    name: ClassVar[str] = "mean"

    start: Literal["average", "black"] = "average"

    def build(self, materials: Materials) -> ImagePrior:
        """Averages the photos."""
        if self.start == "black":
            return MeanPrior.black(materials.spec)
        return MeanPrior.fit(materials.photos, materials.spec)


@dataclass(frozen=True)
class EigenfacesConfiguration(PriorConfiguration):
    """Principal components of the public photos.

    Attributes:
        components: How many.
        augmentation: Moved copies of each photo that they are fitted on too.
        reach: How far out a search may go, as a root mean square of standardised coordinates.
    """

    name: ClassVar[str] = "eigenfaces"

    components: Annotated[int, Field(ge=1)] = 150
    augmentation: Annotated[int, Field(ge=0)] = 7
    reach: Annotated[float, Field(gt=0)] = 1.0

    def build(self, materials: Materials) -> ImagePrior:
        """Finds the components."""
        return EigenfacePrior.fit(
            materials.photos,
            materials.spec,
            components=self.components,
            augmentation=max(0, min(self.augmentation, _copies(materials))),
            reach=self.reach,
            seed=materials.seed,
            on_progress=materials.advance,
        )


def _copies(materials: Materials) -> int:
    """Returns how many moved copies of the photos fit into memory beside themselves."""
    return materials.memory // max(1, materials.photos.nbytes) - 1


@dataclass(frozen=True)
class GeneratorConfiguration(PriorConfiguration):
    """A variational autoencoder trained on the public photos, or a generator of your own.

    Attributes:
        load: Your own: ``module:callable``, which returns a module from ``(n, latent)`` to images.
        weights: Its weights, as of a target.
        latent: How many coordinates it takes; needed with ``load``.
        unit_range: Whether the images of your own lie between 0 and 1; in the target's range if
            not.
        steps: Training steps of the autoencoder.
    """

    name: ClassVar[str] = "generator"

    load: str | None = None
    weights: Path | None = None
    latent: Annotated[int, Field(ge=1)] | None = None
    unit_range: bool = True
    steps: Annotated[int, Field(ge=1)] | None = None

    @property
    def from_photos(self) -> bool:
        """Whether it is trained on the photos, and not one's own."""
        return self.load is None

    def build(self, materials: Materials) -> ImagePrior:
        """Trains or loads the generator."""
        if self.load is None:
            chosen = {key: getattr(self, key) for key in ("latent", "steps")}
            return train_variational_autoencoder(
                materials.photos,
                materials.spec,
                seed=materials.seed,
                on_progress=materials.advance,
                device=materials.device,
                **{key: value for key, value in chosen.items() if value is not None},
            )
        if self.latent is None:
            raise PlanError("prior generator: latent is missing: say how many coordinates it takes")
        weights = None if self.weights is None else materials.folder / self.weights
        module = load_module(self.load, weights, folder=materials.folder)
        return GeneratorPrior(module, self.latent, materials.spec, unit_range=self.unit_range)


PRIORS: Registry[PriorConfiguration] = Registry(
    "prior",
    PriorConfiguration,
    MeanConfiguration,
    EigenfacesConfiguration,
    GeneratorConfiguration,
    group="darkroom.priors",
)
