"""What all searches by scores share: asking in batches, budgets, milestones, the best so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.search.channel import Channel
from darkroom.images.attacks.search.coordinates import Coordinates
from darkroom.images.attacks.search.feedback import Answers, Feedback, affordable
from darkroom.images.attacks.search.losses import lightening
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior

COMPARED = 0.05
"""The share of rows that comparisons take, once there are enough rows."""

FINAL = 8
"""How many times more often than usual noisy answers are asked for in the last comparison."""


@dataclass(frozen=True)
class ScoreAttack(Attack):
    """An attack that guesses, asks for scores, and guesses again.

    Where a view leaves less than all scores, or hides some of them, answers are read as
    :class:`.Channel` says.

    Unlike :class:`.GradientAttack` these move no images at random: what
    holds for a whole population around a point is no pattern that one image happens to have.

    Attributes:
        rows: The most rows that a goal may cost, 1 or more; a plan's budget may be less.
        restarts: Searches a goal, all in one batch; they share its rows.
        jitter: Standard deviation of the start of restarts 1 and up, in units of the spread.
        prior_weight: Weight of the prior's energy.
        confidence: A goal is settled when its best candidate reaches this.
        settle: Rows that a goal goes on after it settled: an image that is only just accepted
            shows less of the person than one well inside the class.
        memory: Bytes that images may take; more than fit are asked in turns.
    """

    access: ClassVar[Access] = Access.SCORES
    least_access: ClassVar[Access] = Access.TOP_K

    rows: int = 3000
    restarts: int = 1
    jitter: float = 0.5
    prior_weight: float = 1.0
    confidence: float = 0.999
    settle: int = 1000
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        for name in ("rows", "restarts", "memory"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack {self.name}: {name} must be 1 or more")
        if not 0 < self.confidence <= 1:
            raise PlanError(f"attack {self.name}: confidence must be above 0 and at most 1")
        for name in ("jitter", "prior_weight", "settle"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"attack {self.name}: {name} must be 0 or more")

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.rows

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says what is done about hidden scores; see :meth:`Attack.adaptation`."""
        return Channel.of(view).adaptation


def marks() -> Iterator[int]:
    """Yields the budgets at which progress is told: 10, 30, 100, 300, and so on.

    >>> from itertools import islice
    >>> list(islice(marks(), 5))
    [10, 30, 100, 300, 1000]
    """
    mark = 10
    while True:
        yield from (mark, 3 * mark)
        mark *= 10


class Asked(NamedTuple):
    """What came back for a generation.

    Attributes:
        points: What was asked, within the prior's bounds, ``(active, n, dimensions)``.
        objective: The lead of the best other class and the prior's term, ``(active, n)``.
        margin: That lead alone.
        confidence: The goal's score, NaN where it is not named, ``(active, n)``.
        logs: All log-scores, ``(active, n, classes)``.
    """

    points: Tensor
    objective: Tensor
    margin: Tensor
    confidence: Tensor
    logs: Tensor


class ScoreSearch(ABC):
    """The state of one attack: every goal times every restart is a search of its own.

    All searches that go on ask alike many rows at a time, so that one batch serves them all.

    Attributes:
        least: The fewest candidates of which a search can make anything.
        active: Which searches go on, ``(searches,)``.
        challenger: What each search would answer now, ``(searches, dimensions)``.
    """

    least: ClassVar[int] = 2

    def __init__(
        self,
        attack: ScoreAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        """Asks nothing yet.

        Args:
            attack: The parameters.
            view: The target as the attacker sees it.
            prior: What the attacker knows beforehand.
            goals: The classes to reconstruct, ``(goals,)``.
            rng: The only source of randomness.
        """
        self.attack, self.view, self.prior = attack, view, prior
        self.coordinates = Coordinates(prior)
        # A source for each search, so that who else is attacked changes nothing for a goal.
        root = int(rng.integers(2**62))
        self.feedback = Feedback(view, goals, np.random.default_rng([root]))
        self.sources = [
            np.random.default_rng([root, int(goal), restart])
            for goal in goals
            for restart in range(attack.restarts)
        ]
        self.positions = np.repeat(np.arange(len(goals)), attack.restarts)
        self.classes = torch.from_numpy(np.repeat(goals, attack.restarts))
        searches = len(self.positions)
        self.active = torch.ones(searches, dtype=torch.bool)
        self.challenger = self._starts()
        self.best = self.challenger.clone()
        self._margin = torch.full((searches,), torch.inf, dtype=torch.float64)
        self._confidence = torch.full((searches,), torch.nan, dtype=torch.float64)
        self._settled_at = torch.full((len(goals),), -1)
        self._compared_at, self._known = 0, False
        self.prior_weights: Tensor | None = None

    def _starts(self) -> Tensor:
        """Returns the first points: the prior's own for restart 0, near it for the others."""
        shape = (len(self.sources), self.coordinates.dimensions)
        starts = torch.zeros(shape)
        for row, source in enumerate(self.sources):
            if row % self.attack.restarts:
                drawn = source.standard_normal(shape[1]) * self.attack.jitter
                starts[row] = torch.from_numpy(drawn)
        return self.coordinates.bounded(starts)

    def run(self) -> Iterator[Progress]:
        """Searches until every goal is settled or nothing is left to spend."""
        yield self.progress()
        yield from self.search()

    def search(self) -> Iterator[Progress]:
        """Searches from the challengers on, as :meth:`run` does."""
        self.compare(final=False)
        ahead = marks()
        mark = next(mark for mark in ahead if mark > self.spent)
        while bool(self.active.any()):
            size = self._affordable_candidates(self._left())
            until_mark = mark - self.spent
            if size and until_mark < self._left() and not self._fits(until_mark):
                self.compare(final=False)
                yield self.progress()
                while mark <= self.spent or not self._fits(mark - self.spent):
                    mark = next(ahead)
                continue
            if size == 0:
                break
            self.generation(min(size, self.batch))
            due = COMPARED * (self.spent - self._compared_at)
            if due >= self._comparison_cost(final=False):
                self.compare(final=False)
            self._settle()
        self.compare(final=True)
        yield self.progress()

    @property
    @abstractmethod
    def batch(self) -> int:
        """Candidates that each search asks about in a full generation."""

    @abstractmethod
    def generation(self, size: int) -> None:
        """Asks about ``size`` candidates of each active search and moves on.

        Args:
            size: :attr:`batch`, or fewer when no more can be paid for.
        """

    @property
    def noisy(self) -> bool:
        """Whether the same image is answered otherwise each time."""
        return self.feedback.channel.noisy

    @property
    def rows(self) -> Tensor:
        """The searches that go on, int64 ``(active,)``."""
        return self.active.nonzero()[:, 0]

    @property
    def spent(self) -> int:
        """Rows that each goal that goes on has cost."""
        chosen = self.positions[self.rows.numpy()] if self.active.any() else self.positions
        return int(self.view.ledger.spent[chosen].max())

    def _left(self) -> int:
        """Returns the rows that each goal that goes on may still cost."""
        left = self.attack.rows - self.spent
        paid = affordable(self.view.ledger, np.unique(self.positions[self.rows.numpy()]))
        return left if paid is None else min(left, paid)

    def _candidate_cost(self) -> int:
        return self.attack.restarts * self.feedback.cost()

    def _comparison_cost(self, *, final: bool) -> int:
        """Returns the rows a goal that comparing the challenger with the best costs."""
        sides = 2 if self.noisy and self._known else 1
        times = FINAL if self.noisy and final else 1
        return sides * times * self._candidate_cost()

    def _fits(self, rows: int) -> bool:
        """Tells whether a full generation and a comparison can be had for so many rows."""
        whole = self.batch * self._candidate_cost() + self._comparison_cost(final=False)
        return rows >= whole

    def _affordable_candidates(self, rows: int) -> int:
        """Returns the candidates a search that leave enough for the last comparison."""
        size = (rows - self._comparison_cost(final=True)) // self._candidate_cost()
        return size if size >= self.least else 0

    @torch.no_grad()
    def ask(self, points: Tensor) -> Asked:
        """Asks about points of the active searches, and notes the best unless answers are noisy.

        Args:
            points: ``(active, n, dimensions)``.
        """
        rows, (searches, size) = self.rows, points.shape[:2]
        latents = self.coordinates.latents(points.flatten(0, 1))
        answers = self._answers(latents, rows.repeat_interleave(size))
        margin = torch.from_numpy(answers.objective)
        energy = self.prior.energy(latents).view(searches, size)
        if self.prior_weights is None:
            self.prior_weights = self._weigh(rows, margin.view(searches, size), energy)
        asked = Asked(
            self.coordinates.points(latents).view(searches, size, -1),
            margin.view(searches, size) + self.prior_weights[rows, None] * energy,
            margin.view(searches, size),
            torch.from_numpy(answers.confidence).view(searches, size),
            torch.from_numpy(answers.logs).float().view(searches, size, -1),
        )
        if not self.noisy:
            first = asked.margin.argmin(dim=1, keepdim=True)
            chosen = first[:, :, None].expand(-1, 1, points.shape[2])
            self._keep_better(
                rows,
                asked.points.gather(1, chosen)[:, 0],
                asked.margin.gather(1, first)[:, 0],
                asked.confidence.gather(1, first)[:, 0],
                ties=False,
            )
        return asked

    def _weigh(self, rows: Tensor, margin: Tensor, energy: Tensor) -> Tensor:
        """Returns the prior's weight in each search, ``(searches,)``, by the first population."""
        weight = self.attack.prior_weight
        weights = torch.full((len(self.active),), weight)
        if self.feedback.channel.exact and weight:
            before = self.prior.energy(self.coordinates.latents(self.challenger[rows]))
            price = weight * (energy.mean(dim=1) - before)
            weights[rows] *= lightening(margin, price, self.coordinates.dimensions)
        return weights

    def _answers(self, latents: Tensor, rows: Tensor, repeats: int | None = None) -> Answers:
        """Returns what is answered about latents, asked in turns where memory is short.

        Args:
            latents: ``(n, *latent_shape)``.
            rows: The search that each serves, ``(n,)``.
            repeats: How often each is asked; the channel's own number when left out.
        """
        positions = self.positions[rows.numpy()]
        each = 16 * int(np.prod(self.prior.spec.shape)) * self.feedback.cost(repeats)
        step = max(1, self.attack.memory // each)
        parts = [
            self.feedback.ask(
                self.prior.decode(latents[begin : begin + step]).numpy(),
                positions[begin : begin + step],
                repeats=repeats,
            )
            for begin in range(0, len(latents), step)
        ]
        return Answers(*(np.concatenate(field) for field in zip(*parts, strict=True)))

    @torch.no_grad()
    def compare(self, *, final: bool) -> None:
        """Asks about the challenger and puts it in place of the best where it is better.

        Under fresh noise both are asked anew, so that no lucky answer stays the best.

        Args:
            final: Whether nothing comes after; noisy answers are then asked for more often.
        """
        if not self.active.any() or (self._known and self._compared_at == self.spent):
            return
        if self.noisy and self._comparison_cost(final=final) > self._left():
            final = False
        if self._comparison_cost(final=final) > self._left():
            return
        rows = self.rows
        repeats = self.feedback.cost() * (FINAL if self.noisy and final else 1)
        margin, confidence = self._fresh(self.challenger[rows], rows, repeats)
        if self.noisy and self._known:
            self._margin[rows], self._confidence[rows] = self._fresh(self.best[rows], rows, repeats)
        self._keep_better(rows, self.challenger[rows], margin, confidence, ties=True)
        self._known, self._compared_at = True, self.spent

    def _fresh(self, points: Tensor, rows: Tensor, repeats: int) -> tuple[Tensor, Tensor]:
        """Returns margin and confidence of one point of each of some searches, asked anew."""
        answers = self._answers(self.coordinates.latents(points), rows, repeats)
        return torch.from_numpy(answers.objective), torch.from_numpy(answers.confidence)

    def _keep_better(
        self, rows: Tensor, points: Tensor, margin: Tensor, confidence: Tensor, *, ties: bool
    ) -> None:
        """Puts points in place of the best of some searches where they are better.

        Args:
            rows: Which searches.
            points: ``(n, dimensions)``.
            margin: Of the points, ``(n,)``.
            confidence: Of the points, ``(n,)``.
            ties: Whether equals are taken too. The challenger's are: on a plateau of rounded scores
                it has gone on into the class since, where candidates scatter.
        """
        before = self._margin[rows]
        better = (margin <= before) if ties else (margin < before)
        chosen = rows[better]
        self.best[chosen] = points[better]
        self._margin[chosen] = margin[better]
        self._confidence[chosen] = confidence[better]

    def _settle(self) -> None:
        """Ends the searches of goals that settled long enough ago."""
        # A goal that is not named is not reached.
        confidence = self._confidence.nan_to_num(nan=0.0)
        reached = confidence.view(-1, self.attack.restarts).amax(dim=1)
        newly = (reached >= self.attack.confidence) & (self._settled_at < 0)
        self._settled_at[newly] = self.spent
        done = (self._settled_at >= 0) & (self.spent >= self._settled_at + self.attack.settle)
        self.active &= ~done.repeat_interleave(self.attack.restarts)

    @torch.no_grad()
    def progress(self) -> Progress:
        """Returns the best restart of each goal."""
        restarts = self.attack.restarts
        margin = self._margin.view(-1, restarts)
        rows = margin.argmin(dim=1) + torch.arange(len(margin)) * restarts
        latents = self.coordinates.latents(self.best[rows])
        parts = [self.prior.decode(part) for part in torch.split(latents, 64)]
        return Progress(
            self.view.ledger.spent,
            torch.cat(parts).numpy().astype(np.float32, copy=False),
            self._confidence[rows].numpy().copy(),
        )
