"""Faces decoded from leaked templates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch

from darkroom.access import VerifierAccess
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.verifiers.attacks.base import Attack, Knowledge, Progress
from darkroom.verifiers.attacks.decoders import Decoder, fit_network, fit_ridge
from darkroom.verifiers.attacks.leaks import adapted, aims
from darkroom.verifiers.targets.base import Floats, Images
from darkroom.verifiers.targets.metrics import Metric, unit
from darkroom.verifiers.targets.view import View

_FEWEST = 10
"""Photos from which a decoder learns anything."""


@dataclass(frozen=True)
class TemplateAttack(Attack):
    """A decoder learned from public photos and their templates, put on the leaked ones.

    The attacker asks the encoder for the templates of the public photos, which serves all people at
    once, and learns two maps from templates to a prior's latents: ridge regression and a small net.
    Both decode every leaked template; the encoder is asked for the templates of what comes out, and
    the picture whose template is nearer to the leaked one is kept.

    The net is that of Mai et al. (2018) in what it learns; differences: a prior of public photos
    draws the picture, so that a few hundred photos are enough, where theirs learns pixels from
    millions of them; and a line is tried beside it.

    Templates that are protected are first traced back as far as the attacker can
    (:func:`.aims`); what comes out is compared with that.

    Attributes:
        photos: Public photos to ask about, at most.
        steps: Of the net's training.
    """

    name: ClassVar[str] = "template"
    paper: ClassVar[str] = "after Mai, Cao, Yuen & Jain 2018"
    access: ClassVar[VerifierAccess] = VerifierAccess.TEMPLATE

    photos: int = 1000
    steps: int = 600

    def __post_init__(self) -> None:
        """Refuses values that teach nothing.

        Raises:
            PlanError: If a number is out of its range.
        """
        if self.photos < _FEWEST or self.steps < 1:
            raise PlanError(
                f"attack template: photos must be {_FEWEST} or more, and steps positive"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal, were it the only one."""
        return self.photos + 2

    def within(self, budget: int) -> Self:
        """Leaves two rows for what the decoders make; see :meth:`Attack.within`."""
        return replace(self, photos=max(_FEWEST, min(self.photos, budget - 2)))

    def _search(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> Iterator[Progress]:
        goals, prior = len(view.people), knowledge.prior
        start = prior.start()[None]
        with torch.no_grad():
            pictures = np.repeat(prior.decode(start).numpy(), goals, axis=0)
        best: Floats = np.full(goals, -np.inf)
        yield Progress(view.ledger.spent, pictures.copy(), best.copy())
        if not len(knowledge.photos):
            return
        try:
            templates, latents = self._asked(view, knowledge, rng)
            if len(templates) < _FEWEST:
                return
            aim = aims(view, templates, rng)
            aim = unit(aim) if view.metric is Metric.COSINE else aim
            for decoder in self._decoders(templates, latents, rng):
                images = _decoded(decoder, aim, knowledge)
                found = view.templates(images, np.arange(goals))
                scores = np.diag(view.metric.scores(found, aim))
                better = scores > best
                pictures[better], best = images[better], np.maximum(scores, best)
                yield Progress(view.ledger.spent, pictures.copy(), best.copy())
        except BudgetExhausted:
            yield Progress(view.ledger.spent, pictures.copy(), best.copy())

    def _asked(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Asks for the templates of public photos, and returns them with the photos' latents."""
        count = min(self.photos, len(knowledge.photos))
        chosen = np.sort(rng.permutation(len(knowledge.photos))[:count])
        photos = knowledge.photos[chosen]
        goals = np.arange(len(view.people))
        with view.ledger.shared(goals):
            templates = view.templates(photos, np.arange(count) % len(goals))
        faces = np.isfinite(templates).all(axis=1)
        templates = templates[faces]
        if view.metric is Metric.COSINE:
            templates = unit(templates)
        prior = knowledge.prior
        latents = prior.project(prior.encode(torch.from_numpy(photos[faces])))
        return templates, latents.flatten(1).double().numpy()

    def _decoders(
        self, templates: Floats, latents: Floats, rng: np.random.Generator
    ) -> Iterator[Decoder]:
        yield fit_ridge(templates, latents)
        yield fit_network(templates, latents, seed=int(rng.integers(2**31)), steps=self.steps)

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says what it does about templates that are protected."""
        return adapted(view)


def _decoded(decoder: Decoder, aim: Floats, knowledge: Knowledge) -> Images:
    prior = knowledge.prior
    latents = torch.from_numpy(decoder(aim)).float().view(-1, *prior.latent_shape)
    with torch.no_grad():
        images: Images = prior.decode(prior.project(latents)).numpy()
    return images
