"""Reconstruction from labels alone through models of the target that are trained on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.search.labels import (
    LabelAttack,
    LabelFeedback,
    Labels,
    Pool,
    shared_room,
)
from darkroom.images.attacks.search.scores import marks
from darkroom.images.attacks.search.surrogate_models import Ensemble, Features, train
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted, QueryLedger
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.randomness import OwnRandomness

SEEN = 1000
"""Draws from the prior that decide what surrogates look at; the target is not asked."""

SLACK = 1
"""By how many blends a newer candidate may fall short of the best: their count is that noisy, and
newer surrogates were taught more."""

PART = 500
"""Images decoded at a time to find their features."""


@dataclass(frozen=True)
class SurrogateAttack(LabelAttack):
    """Label-only model inversion through surrogates, after LOKT (Nguyen et al. 2023).

    In rounds: images drawn from the prior are labelled by the target; small networks learn to give
    the same labels; :class:`.GradientAttack` inverts them through their
    weights, which costs nothing, for the attacker owns them; and the target is asked whether it
    names what came out as the goal. Most people are rare among draws, so from the second round on
    a share of the draws lies around what came out so far: there the next inversion needs the
    surrogates to be right.

    One set of labelled draws and of surrogates serves all goals, for a label says something about
    every class. Each goal pays for the same number of rows, so ``rows`` a goal are ``rows`` times
    the number of goals in all. One goal alone would cost all draws from the prior, so that is what
    the ledger counts for it, and what a budget a goal limits. Draws around the candidates of other
    goals teach the surrogates a little too and are not counted for it: where one goal is attacked
    alone, there are none.

    A candidate is compared with the best so far by the target's labels alone: it must be named as
    the goal, and so must about as many of ``probes`` blends of it with draws from the prior, the
    same draws for all candidates of a goal. The more of a stranger's looks it bears, the farther
    inside its class it lies.

    Differences from the paper and its code:

    - no generator is trained. Theirs, a T-ACGAN, is conditional on the target's labels, so that it
      can draw each class at will, and its classifier is one of the surrogates; here a given prior
      is drawn from, wider than it would draw by itself, and draws around earlier candidates take
      the place of conditional ones;
    - the surrogates are a linear network and ``members - 1`` with hidden layers, on principal
      components of small images, which train in seconds on a processor; theirs are DenseNets;
    - the inversion is this project's ``gradient`` with its margin loss and random moves instead of
      that of PLG-MI (Yuan et al. 2023);
    - rounds: theirs asks for all labels before it inverts once, and asks the target nothing about
      what comes out.

    Under labels alone no confidence is known, so progress tells none.

    Attributes:
        rows: The most rows that a goal may cost, 1 or more; a plan's budget may be less.
        first: Rows a goal before the first inversion; every later round triples them, about.
        width: How far draws go, where 1 is the prior's own.
        near: The share of later draws that lie around candidates.
        probes: Blends asked about each candidate, unless that takes most of a round.
        members: Surrogates in the ensemble.
        units: Units of a hidden layer.
        epochs: How often a surrogate sees each draw, where there are many.
        least_steps: The fewest steps of a surrogate's training.
        steps: The steps of an inversion.
        prior_weight: The weight of the prior's energy in an inversion.
        repeats: How often an image is asked where fresh noise changes labels.
        confidence: Of the audit: the target's confidence at which a goal counts as reached. The
            attacker cannot see it, so nothing stops there.
        memory: Bytes that images may take; more than fit are asked in turns.
    """

    name: ClassVar[str] = "surrogate"
    paper: ClassVar[str] = (
        "after Nguyen, Chandrasegaran, Abdollahzadeh & Cheung 2023 (NeurIPS), LOKT"
    )

    rows: int = 2000
    first: int = 30
    width: float = 1.7
    near: float = 0.5
    probes: int = 8
    members: int = 3
    units: int = 256
    epochs: int = 10
    least_steps: int = 400
    steps: int = 100
    prior_weight: float = 1.0
    repeats: int = 5
    confidence: float = 0.999
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        counts = ("rows", "first", "members", "units", "epochs", "least_steps", "steps")
        for name in (*counts, "repeats", "memory"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack surrogate: {name} must be 1 or more")
        for name in ("probes", "prior_weight"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"attack surrogate: {name} must be 0 or more")
        if not (0 <= self.near <= 1 and 0 < self.confidence <= 1 and self.width > 0):
            raise PlanError(
                "attack surrogate: near must be 0 to 1, confidence above 0 and at most 1, width "
                "positive"
            )

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        search = _Search(self, view, prior, goals, rng)
        yield search.progress()
        with contextlib.suppress(BudgetExhausted):
            yield from search.rounds()
        yield search.progress()


class _Search:
    """The state of one attack; every goal is a row.

    Attributes:
        best: What would be answered now, ``(goals, dimensions)``.
        inside: How many of its blends the target named as the goal, ``(goals,)``; -1 while the
            target has named no candidate so.
        candidates: What the last inversion found, ``None`` before the first.
    """

    def __init__(
        self,
        attack: SurrogateAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self.attack, self.view, self.prior, self.goals = attack, view, prior, goals
        self.feedback = LabelFeedback(view, prior, repeats=attack.repeats, memory=attack.memory)
        self.coordinates = self.feedback.coordinates
        self.rng = rng
        self.seed = int(rng.integers(2**62))
        self.generator = torch.Generator().manual_seed(self.seed)
        self.pool = Pool(self.feedback, prior, view.ledger, self.generator)
        shape = (len(goals), self.coordinates.dimensions)
        self.best = torch.zeros(shape)
        self.candidates: Tensor | None = None
        self.inside = np.full(len(goals), -1)
        # The same blends for every candidate of a goal, so that only the candidate differs.
        self.blends = self._normal((len(goals), attack.probes, shape[1]))
        self.features = Features(self._images(self._normal((SEEN, shape[1]))))
        self.seen = torch.empty(0, self.features.size)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def rounds(self) -> Iterator[Progress]:
        """Draws, learns, inverts and verifies until the rows are spent.

        Raises:
            BudgetExhausted: If the ledger ends it before the attack's own count does.
        """
        everyone = np.arange(len(self.goals))
        for mark in marks():
            left = shared_room(self.view.ledger, everyone, self.attack.rows)
            upto = min(mark - int(self.view.ledger.spent.max()), left)
            last = upto == left
            verifies = mark >= self.attack.first or last
            probes = self._affordable_probes(upto)
            kept = (1 + probes) * self.feedback.repeats if verifies else 0
            if upto > kept:
                self._draw(everyone, upto - kept)
                self._take_middles()
                if verifies:
                    self._invert()
                    self._verify(everyone, probes)
                yield self.progress()
            if last:
                return

    def _affordable_probes(self, rows: int) -> int:
        """Returns all probes, or none where verifying would take more than half of a round."""
        cost = (1 + self.attack.probes) * self.feedback.repeats
        return self.attack.probes if 2 * cost <= rows else 0

    def _draw(self, everyone: Labels, rows: int) -> None:
        """Adds draws of the prior, and around candidates once there are some."""
        near = 0 if self.candidates is None else int(self.attack.near * rows)
        self.pool.draw(everyone, rows - near, self.attack.rows, self.attack.width)
        each = near // self.feedback.repeats
        if each and self.candidates is not None:
            shares = torch.rand(len(self.goals), each, 1, generator=self.generator)
            noise = self._normal((len(self.goals), each, self.coordinates.dimensions))
            self._ask(_blend(self.candidates, noise, shares), everyone)

    def _ask(self, points: Tensor, everyone: Labels) -> Labels:
        """Asks about some points a goal, ``(goals, n, dimensions)``, and adds them to the pool."""
        n = points.shape[1]
        names = self.feedback.ask(points.flatten(0, 1), np.repeat(everyone, n))
        self.pool.add(points.flatten(0, 1), names)
        return names.reshape(-1, n)

    def _take_middles(self) -> None:
        """Takes the mean of the draws named as a goal while no candidate of it is."""
        middles = self.coordinates.bounded(self.pool.middles(self.goals))
        unknown = torch.from_numpy(self.inside < 0)
        self.best = torch.where(unknown[:, None], middles, self.best)

    def _invert(self) -> None:
        """Trains surrogates on all draws and inverts them."""
        points, labels = self.pool.drawn
        fresh = [
            self.features(self._images(part))
            for part in torch.split(points[len(self.seen) :], PART)
        ]
        self.seen = torch.cat([self.seen, *fresh])
        with OwnRandomness(self.seed)():
            surrogates = Ensemble(
                self.features, self.view.classes, self.attack.members, self.attack.units
            )
        train(
            surrogates.members,
            self.seen,
            labels,
            epochs=self.attack.epochs,
            least_steps=self.attack.least_steps,
            generator=self.generator,
        )
        latents = inverted(
            surrogates,
            self.prior,
            self.goals,
            steps=self.attack.steps,
            prior_weight=self.attack.prior_weight,
            memory=self.attack.memory,
            rng=self.rng,
        )
        self.candidates = self.coordinates.points(latents)

    @torch.no_grad()
    def _images(self, points: Tensor) -> Tensor:
        return torch.cat(
            [
                self.prior.decode(self.coordinates.unbounded(part))
                for part in torch.split(points, PART)
            ]
        )

    def _verify(self, everyone: Labels, probes: int) -> None:
        """Puts candidates in place of the best where the target finds them no less typical."""
        assert self.candidates is not None
        shares = torch.linspace(0.2, 0.8, probes)[None, :, None]
        around = _blend(self.candidates, self.blends[:, :probes], shares)
        names = self._ask(torch.cat([self.candidates[:, None], around], dim=1), everyone)
        agreed = names == self.goals[:, None]
        inside = np.where(agreed[:, 0], agreed[:, 1:].sum(axis=1), -1)
        better = agreed[:, 0] & (inside >= self.inside - SLACK)
        self.inside = np.where(better, inside, self.inside)
        self.best = torch.where(torch.from_numpy(better)[:, None], self.candidates, self.best)

    def progress(self) -> Progress:
        """Returns the best of each goal; its confidence is not known."""
        unknown = np.full(len(self.goals), np.nan)
        return Progress(self.view.ledger.spent, self.feedback.images(self.best), unknown)


def inverted(
    own: nn.Module,
    prior: ImagePrior,
    goals: Labels,
    *,
    steps: int,
    prior_weight: float,
    memory: int,
    rng: np.random.Generator,
) -> Tensor:
    """Inverts a model that the attacker owns by :class:`.GradientAttack`; the target is not asked.

    Args:
        own: Takes the prior's images, returns logits ``(n, classes)``.
        prior: What the attacker knows beforehand.
        goals: The classes to reconstruct, ``(goals,)``.
        steps: Of the inversion, all of which are taken.
        prior_weight: The weight of the prior's energy.
        memory: Bytes that activations may take.
        rng: The source of the moves.

    Returns:
        What decodes to the answers, ``(goals, *latent_shape)``.
    """
    target = TorchTarget(own, prior.spec.shape, value_range=(prior.spec.low, prior.spec.high))
    view = View(target, Access.WEIGHTS, QueryLedger(len(goals)))
    # A copy is no more than roughly like the target: to be robust on it has not been tried.
    inversion = GradientAttack(
        steps=steps,
        prior_weight=prior_weight,
        settle=steps,
        memory=memory,
        softness=0.0,
        noise=0.0,
        average=False,
    )
    return inversion.best_latents(view, prior, goals, rng=rng)


def _blend(points: Tensor, noise: Tensor, shares: Tensor) -> Tensor:
    """Returns points mixed with noise at a typical length, ``(goals, n, dimensions)``.

    Args:
        points: ``(goals, dimensions)``.
        noise: Standard normal, ``(goals, n, dimensions)``.
        shares: Of the points in the mixtures, 0 to 1, ``(goals or 1, n, 1)``.
    """
    return shares * points[:, None] + (1 - shares.square()).sqrt() * noise
