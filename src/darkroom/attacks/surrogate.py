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
from torch.nn import functional

from darkroom.access import Access
from darkroom.attacks.base import Attack, Progress
from darkroom.attacks.gradient import GradientAttack
from darkroom.attacks.labels import LabelFeedback, Labels, Pool, adaptation, room
from darkroom.attacks.score_search import marks
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted, QueryLedger
from darkroom.priors.base import ImagePrior
from darkroom.targets.torch import TorchTarget
from darkroom.targets.view import View

COMPONENTS = 200
"""Principal components of drawn images that the surrogates look at."""


@dataclass(frozen=True)
class SurrogateAttack(Attack):
    """Label-only model inversion through surrogates, after LOKT (Nguyen et al. 2023).

    In rounds: images drawn from the prior are labelled by the target; small networks learn to give
    the same labels; :class:`darkroom.attacks.gradient.GradientAttack` inverts them with their
    weights, which costs no rows of the target; the target is asked whether it names what came out
    as the goal. One set of draws and of surrogates serves all goals: a row teaches about every
    class, and each goal pays for the same number. From the second round on, half of the draws lie
    around each goal's reconstruction so far, where the next inversion needs the surrogates to be
    right. The latest reconstruction that the target names as the goal is the answer.

    Differences from the paper and its code:

    - no generator is trained. Theirs, a T-ACGAN, is conditional on the target's labels, so that it
      can draw each class at will, and its classifier is one of the surrogates; here a given prior
      is drawn from, and draws around reconstructions take the place of conditional ones;
    - surrogates are ``members`` networks of different depth, beginning with a linear one, on
      principal components of the drawn images, which train in seconds on a processor; theirs are
      convolutional networks of the size of the target (DenseNets), trained on a graphics card;
    - inversion is by this project's ``gradient`` with its margin loss instead of PLG-MI's;
    - rounds: theirs asks for all labels before it inverts once, and inverts without asking whether
      the target agrees.

    Under labels alone no confidence is known, so progress tells none.

    Attributes:
        rows: The most rows that a goal may cost, 1 or more; a plan's budget may be less.
        first: Rows a goal of the first round; every other round goes on to the next milestone.
        near: The share of later draws that lie around reconstructions.
        members: Surrogates in the ensemble.
        width: Units of a hidden layer.
        epochs: How often a surrogate sees each draw, where there are many.
        steps: The steps of the inversion.
        prior_weight: The weight of the prior's energy in the inversion.
        repeats: How often an image is asked where fresh noise changes labels.
        confidence: Of the audit: the target's confidence at which a goal counts as reached. The
            attacker cannot see it, so nothing stops there.
        memory: Bytes that images may take; more than fit are asked in turns.
    """

    name: ClassVar[str] = "surrogate"
    access: ClassVar[Access] = Access.LABEL
    paper: ClassVar[str] = (
        "after Nguyen, Chandrasegaran, Abdollahzadeh & Cheung 2023 (NeurIPS), LOKT"
    )

    rows: int = 3000
    first: int = 30
    near: float = 0.5
    members: int = 3
    width: int = 256
    epochs: int = 8
    steps: int = 200
    prior_weight: float = 1.0
    repeats: int = 5
    confidence: float = 0.999
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        counts = ("rows", "first", "members", "width", "epochs", "steps", "repeats", "memory")
        for name in counts:
            if getattr(self, name) < 1:
                raise PlanError(f"attack surrogate: {name} must be 1 or more")
        if not (0 <= self.near <= 1 and 0 < self.confidence <= 1 and self.prior_weight >= 0):
            raise PlanError(
                "attack surrogate: near must be 0 to 1, confidence above 0 and at most 1, "
                "prior_weight 0 or more"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.rows

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says what is done about noise; see :meth:`Attack.adaptation`."""
        return adaptation(view, self.repeats)

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        search = _Search(self, view, prior, goals, rng)
        yield search.progress()
        with contextlib.suppress(BudgetExhausted):
            yield from search.rounds()
        yield search.progress()


class Surrogates(nn.Module):
    """Networks that answer like the target, on principal components of images.

    Takes images ``(n, channels, height, width)``, returns the mean of the members' log-scores,
    ``(n, classes)``.
    """

    middle: Tensor
    components: Tensor

    def __init__(self, images: Tensor, classes: int, members: int, width: int) -> None:
        """Finds the components and starts the members.

        Args:
            images: What the components are taken from, ``(n, channels, height, width)``.
            classes: How many the target tells apart.
            members: How many networks.
            width: Units of their hidden layers.
        """
        super().__init__()
        rows = images.flatten(1)
        middle = rows.mean(dim=0)
        keep = min(COMPONENTS, len(rows), rows.shape[1])
        _, singular, vectors = torch.pca_lowrank(rows - middle, q=keep, center=False, niter=2)
        # One scale for all: a component that hardly shows is hardly seen by the target either.
        scale = (singular.square().sum() / len(rows) / keep).sqrt().clamp_min(1e-6)
        self.register_buffer("middle", middle)
        self.register_buffer("components", vectors / scale)
        self.members = nn.ModuleList(
            _network(keep, classes, width, hidden % 3) for hidden in range(members)
        )

    def coordinates(self, images: Tensor) -> Tensor:
        """Returns the components of images, ``(n, components)``."""
        return (images.flatten(1) - self.middle) @ self.components

    def forward(self, images: Tensor) -> Tensor:
        """Returns log-scores."""
        seen = self.coordinates(images)
        return torch.stack([m(seen).log_softmax(dim=1) for m in self.members]).mean(dim=0)


def _network(inputs: int, classes: int, width: int, hidden: int) -> nn.Sequential:
    """Returns a network with so many hidden layers."""
    layers: list[nn.Module] = []
    for _ in range(hidden):
        layers += [nn.Linear(inputs, width), nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def train(
    surrogates: Surrogates, seen: Tensor, labels: Tensor, *, epochs: int, generator: torch.Generator
) -> None:
    """Teaches surrogates the labels.

    Args:
        surrogates: Each member is taught the same.
        seen: Components of images, ``(n, components)``.
        labels: What the target names, ``(n,)``.
        epochs: How often each row is seen, about; few rows are seen more often.
        generator: The order of the rows.
    """
    batch = min(256, len(seen))
    steps = max(400, epochs * len(seen) // batch)
    optimizer = torch.optim.AdamW(
        surrogates.members.parameters(), lr=3e-3, weight_decay=0.05, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(seen), (batch,), generator=generator)
        losses = [
            functional.cross_entropy(member(seen[rows]), labels[rows])
            for member in surrogates.members
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


class _Search:
    """The state of one attack; every goal is a row.

    Attributes:
        best: The latest point of each goal that the target named as the goal.
        known: Of which goals there is one, ``(goals,)``.
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
        self.best = torch.zeros(len(goals), self.coordinates.dimensions)
        self.guesses = self.best
        self.known = np.zeros(len(goals), bool)

    def rounds(self) -> Iterator[Progress]:
        """Draws, learns, inverts and verifies until the rows are spent.

        Raises:
            BudgetExhausted: If the ledger ends it before the attack's own count does.
        """
        everyone = np.arange(len(self.goals))
        repeats = self.feedback.repeats
        for mark in marks():
            left = int(room(self.view.ledger, everyone, self.attack.rows).min())
            upto = min(mark - int(self.view.ledger.spent.max()), left)
            # One image is kept for the question whether the target agrees.
            if upto >= 2 * repeats:
                self._draw(everyone, upto - repeats)
                self.best = torch.where(
                    torch.from_numpy(self.known)[:, None],
                    self.best,
                    self.coordinates.bounded(self.pool.middles(self.goals)),
                )
                if mark >= self.attack.first or upto == left:
                    self._invert()
                    self._verify(everyone)
                yield self.progress()
            if left <= upto:
                return

    def _draw(self, everyone: Labels, rows: int) -> None:
        """Adds draws of the prior, and around reconstructions once there are some."""
        near = int(self.attack.near * rows) if self.guesses.any() else 0
        self.pool.draw(everyone, rows - near, self.attack.rows, 1.0)
        each = near // self.feedback.repeats
        if each:
            points = self._around(each)
            self.pool.add(points, self.feedback.ask(points, np.repeat(everyone, each)))

    def _around(self, each: int) -> Tensor:
        """Returns points between the start and reconstructions, moved by draws of the prior."""
        goals, dimensions = self.guesses.shape
        share = torch.rand(goals, each, 1, generator=self.generator)
        moved = self.pool.points(goals * each).view(goals, each, dimensions)
        # The share keeps the length of what is typical: a guess at one end, a draw at the other.
        points = share * self.guesses[:, None] + (1 - share.square()).sqrt() * moved
        return points.flatten(0, 1)

    def _invert(self) -> None:
        """Trains surrogates on all draws and inverts them."""
        points, labels = self.pool.drawn
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            surrogates = self._surrogates(points, labels)
            target = TorchTarget(
                surrogates,
                self.prior.spec.shape,
                value_range=(self.prior.spec.low, self.prior.spec.high),
            )
            view = View(target, Access.WEIGHTS, QueryLedger(len(self.goals)))
            inversion = GradientAttack(
                steps=self.attack.steps,
                prior_weight=self.attack.prior_weight,
                settle=self.attack.steps,
                memory=self.attack.memory,
            )
            latents = inversion.best_latents(view, self.prior, self.goals, rng=self.rng)
        self.guesses = self.coordinates.points(latents)

    def _surrogates(self, points: Tensor, labels: Tensor) -> Surrogates:
        with torch.no_grad():
            some = torch.randperm(len(points), generator=self.generator)[:1000]
            surrogates = Surrogates(
                torch.from_numpy(self._images(points[some])),
                self.view.classes,
                self.attack.members,
                self.attack.width,
            )
            seen = torch.cat(
                [
                    surrogates.coordinates(torch.from_numpy(self._images(part)))
                    for part in torch.split(points, 500)
                ]
            )
        train(surrogates, seen, labels, epochs=self.attack.epochs, generator=self.generator)
        return surrogates

    @torch.no_grad()
    def _images(self, points: Tensor) -> NDArray[np.float32]:
        return self.prior.decode(self.coordinates.unbounded(points)).numpy()

    def _verify(self, everyone: Labels) -> None:
        """Asks whether the target names the reconstructions as their goals."""
        names = self.feedback.ask(self.guesses, everyone)
        self.pool.add(self.guesses, names)
        agreed = names == self.goals
        self.known |= agreed
        self.best = torch.where(torch.from_numpy(agreed)[:, None], self.guesses, self.best)

    def progress(self) -> Progress:
        """Returns the best of each goal; its confidence is not known."""
        unknown = np.full(len(self.goals), np.nan)
        return Progress(self.view.ledger.spent, self.feedback.images(self.best), unknown)
