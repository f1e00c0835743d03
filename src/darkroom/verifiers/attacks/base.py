"""What every attack on a verifier is: an anytime search over all people at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self, final

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.access import VerifierAccess
from darkroom.errors import PlanError
from darkroom.verifiers.targets.base import Floats, Images, Labels
from darkroom.verifiers.targets.view import View
from darkroom.vision.priors.base import ImagePrior

_CHUNK = 500


class Progress(NamedTuple):
    """The best that an attack has.

    Attributes:
        queries: Rows spent on each goal, int64 ``(goals,)``.
        reconstructions: The best picture of each, ``(goals, channels, height, width)``.
        scores: What the verifier said of it, ``(goals,)``; NaN where the attacker cannot know.
    """

    queries: NDArray[np.int64]
    reconstructions: Images
    scores: Floats


@dataclass(frozen=True)
class Knowledge:
    """What an attacker on a verifier has before asking.

    Attributes:
        prior: A family of faces, with a density over them.
        photos: Public photos of strangers, ``(photos, channels, height, width)``; maybe none.
        people: Who is on each, ``(photos,)``.
    """

    prior: ImagePrior
    photos: Images
    people: Labels


def decoded(prior: ImagePrior, latents: Floats) -> Images:
    """Returns the pictures of flat latents, ``(n, channels, height, width)``.

    Args:
        prior: Makes them.
        latents: ``(n, dimensions)``.
    """
    shaped = torch.from_numpy(latents).float().view(-1, *prior.latent_shape)
    parts = [shaped[at : at + _CHUNK] for at in range(0, len(shaped), _CHUNK)]
    with torch.no_grad():
        images: Images = torch.cat([prior.decode(part) for part in parts]).numpy()
    return images


@dataclass(frozen=True)
class Attack(ABC):
    """An attack on a verifier. Subclasses are frozen dataclasses whose fields are parameters.

    Attributes:
        name: The word used in plans.
        paper: Where it comes from.
        access: What a query must return to it.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    access: ClassVar[VerifierAccess]

    @abstractmethod
    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""

    def within(self, budget: int) -> Self:  # noqa: ARG002 - for those whose first batch is large
        """Returns the attack as one who has no more rows a goal would run it.

        Args:
            budget: Rows a goal, at least one.
        """
        return self

    def adaptation(self, view: View) -> tuple[str, ...]:  # noqa: ARG002 - for those that adapt
        """Says, in sentences, what the attack does about what the view withholds."""
        return ()

    @final
    def run(
        self, view: View, knowledge: Knowledge, *, rng: np.random.Generator
    ) -> Iterator[Progress]:
        """Attacks all goals of a view together and yields the best so far at milestones.

        Args:
            view: The verifier as the attacker sees it, with whom it attacks.
            knowledge: What the attacker has beforehand.
            rng: The only source of randomness: the same seed gives the same answers.

        Yields:
            Progress, with queries that never fall. The last is the answer.

        Raises:
            PlanError: If the view allows too little, or the prior makes other images than the
                verifier takes.
        """
        if not view.access.includes(self.access):
            raise PlanError(
                f"attack {self.name} needs {self.access} but the view allows {view.access}: "
                "choose another attack or access"
            )
        if knowledge.prior.spec != view.spec:
            raise PlanError(
                f"prior {knowledge.prior.name} makes images of {knowledge.prior.spec}, but the "
                f"target takes {view.spec}: fit the prior on photos of the target's shape"
            )
        return self._search(view, knowledge, rng)

    @abstractmethod
    def _search(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> Iterator[Progress]:
        """Does the work of :meth:`run`, whose contract holds."""
