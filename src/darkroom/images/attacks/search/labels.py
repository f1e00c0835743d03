"""What attacks with labels alone share: asking, fresh noise, budgets, and one pool of draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.search.coordinates import Coordinates
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.base import ImagePrior

Labels = NDArray[np.int64]

WIDER = 1.5
"""How much farther draws go each time that a goal is still missing."""

WIDEST = 4.0


def is_noisy(view: View) -> bool:
    """Tells whether fresh noise can change the label that a view answers."""
    return view.effect.changes_label and not view.effect.deterministic


class LabelAttack(Attack):
    """An attack that asks for labels alone.

    Attributes:
        rows: The most rows that a goal may cost.
        repeats: How often an image is asked where fresh noise changes labels.
    """

    access: ClassVar[Access] = Access.LABEL

    rows: int
    repeats: int

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.rows

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says what is done about noise; see :meth:`Attack.adaptation`."""
        if not is_noisy(view):
            return ()
        why = (
            "Labels may change, for all that is known"
            if view.effect.silent
            else ("Fresh noise can change labels")
        )
        return (f"{why}: each image is asked {self.repeats} times.",)


def room(ledger: QueryLedger, positions: Labels, most: int) -> Labels:
    """Returns the rows that each of these goals may still cost.

    Args:
        ledger: What counts the rows.
        positions: The goals that go on, each once.
        most: The most that a goal may cost, whatever the ledger allows.

    Returns:
        Int64 ``(len(positions),)``; what is left in all is divided evenly among them.
    """
    left = most - ledger.spent[positions]
    if ledger.limit.per_goal is not None:
        left = np.minimum(left, ledger.limit.per_goal - ledger.alone[positions])
    if ledger.limit.total is not None and len(positions):
        left = np.minimum(left, (ledger.limit.total - ledger.total) // len(positions))
    return left.clip(0, None)


def shared_room(ledger: QueryLedger, positions: Labels, most: int) -> int:
    """Returns the rows that each of these goals may still pay for, where each is served by all.

    Args:
        ledger: What counts the rows.
        positions: The goals, each once.
        most: The most that a goal may pay for, whatever the ledger allows.
    """
    left = int(room(ledger, positions, most).min())
    if ledger.limit.per_goal is not None:
        unspent = ledger.limit.per_goal - int(ledger.alone[positions].max())
        left = min(left, unspent // len(positions))
    return max(0, left)


class LabelFeedback:
    """Asks what the target names in images.

    Attributes:
        coordinates: Where the search is; zero is the prior's start.
        repeats: How often an image is asked; 1 unless fresh noise can change the label.
        classes: How many classes the target tells apart.
    """

    def __init__(self, view: View, prior: ImagePrior, *, repeats: int, memory: int) -> None:
        """Asks nothing yet.

        Args:
            view: The target as the attacker sees it.
            prior: What the attacker knows beforehand.
            repeats: How often an image is asked where labels are noisy.
            memory: Bytes that images may take; more than fit are asked in turns.
        """
        self.coordinates = Coordinates(prior)
        self.repeats = repeats if is_noisy(view) else 1
        self.classes = view.classes
        self._view, self._prior, self._memory = view, prior, memory

    @torch.no_grad()
    def ask(self, points: Tensor, positions: Labels) -> Labels:
        """Returns the class that the target names in each image, by majority over repeats.

        Args:
            points: ``(n, dimensions)``; what lies beyond the prior's bounds is asked as it is,
                so that a sphere stays a sphere.
            positions: The goal that pays for each, ``(n,)``.

        Raises:
            BudgetExhausted: If the rows would go over the budget; what was asked before is lost.
        """
        names = [np.empty(0, np.int64)]
        each = 16 * int(np.prod(self._prior.spec.shape)) * self.repeats
        rows = max(1, self._memory // each)
        for begin in range(0, len(points), rows):
            latents = self.coordinates.unbounded(points[begin : begin + rows])
            images = self._prior.decode(latents).numpy().astype(np.float32, copy=False)
            names.append(self._majority(images, positions[begin : begin + rows]))
        return np.concatenate(names)

    def _majority(self, images: NDArray[np.float32], positions: Labels) -> Labels:
        if self.repeats == 1:
            return self._view.labels(images, positions)
        repeated = self._view.labels(
            np.repeat(images, self.repeats, axis=0), np.repeat(positions, self.repeats)
        ).reshape(-1, self.repeats)
        counts = np.zeros((len(images), self.classes), np.int64)
        np.add.at(counts, (np.arange(len(images))[:, None], repeated), 1)
        winners: Labels = counts.argmax(axis=1)
        return winners

    @torch.no_grad()
    def images(self, points: Tensor) -> NDArray[np.float32]:
        """Returns the images of points within the prior's bounds, float32."""
        parts = [
            self._prior.decode(self.coordinates.latents(part)) for part in torch.split(points, 64)
        ]
        return torch.cat(parts).numpy().astype(np.float32, copy=False)


class Draw(NamedTuple):
    """Points and what the target names in them.

    Attributes:
        points: ``(n, dimensions)``.
        labels: ``(n,)``.
    """

    points: Tensor
    labels: Tensor


class Pool:
    """Draws from the prior with their labels, one pool for all goals.

    A draw serves whichever goal the target names in it, so the goals that still look for draws
    pay for them in turn, one row each. While all of them look, each pays the same. The ledger
    counts the draws in full for each of them, because one alone would have needed them all.

    Attributes:
        drawn: All draws so far.
    """

    def __init__(
        self,
        feedback: LabelFeedback,
        prior: ImagePrior,
        ledger: QueryLedger,
        generator: torch.Generator,
    ) -> None:
        """Draws nothing yet.

        Args:
            feedback: Asks the target.
            prior: What is drawn from.
            ledger: Counts the rows.
            generator: The source of the draws.
        """
        self._feedback, self._prior = feedback, prior
        self._ledger, self._generator = ledger, generator
        dimensions = feedback.coordinates.dimensions
        self.drawn = Draw(torch.empty(0, dimensions), torch.empty(0, dtype=torch.int64))

    def found(self, goals: Labels) -> NDArray[np.bool_]:
        """Tells of which classes there is a draw, ``(goals,)``."""
        return np.isin(goals, self.drawn.labels.numpy())

    def middles(self, goals: Labels) -> Tensor:
        """Returns the mean of each class's draws, ``(goals, dimensions)``; zero without any."""
        points, labels = self.drawn
        member = (labels[None, :] == torch.from_numpy(goals)[:, None]).float()
        return member @ points / member.sum(dim=1, keepdim=True).clamp_min(1)

    def nearest(self, goals: Labels, middles: Tensor) -> Tensor:
        """Returns each class's draw that is nearest to a point; the point itself without any."""
        points, labels = self.drawn
        chosen = middles.clone()
        for row, goal in enumerate(goals.tolist()):
            members = points[labels == goal]
            if len(members):
                chosen[row] = members[(members - middles[row]).square().sum(dim=1).argmin()]
        return chosen

    def fill(
        self,
        goals: Labels,
        rows: int,
        most: int,
        marks: tuple[int, ...] = (10, 30),
    ) -> Iterator[None]:
        """Draws until each goal has paid for ``rows``, then, wider, for those not yet found.

        Args:
            goals: The classes looked for.
            rows: What every goal pays.
            most: What a goal may pay at most, while the target names it nowhere.
            marks: Rows a goal at which to yield, beside the end of each round.

        Yields:
            Nothing, after each round: a good time to tell progress.
        """
        everyone = np.arange(len(goals))
        for mark in (*(mark for mark in marks if mark < rows), rows):
            self.draw(everyone, mark - int(self._ledger.spent.max()), most, 1.0)
            yield
        width = 1.0
        while True:
            missing = np.flatnonzero(~self.found(goals))
            if not len(missing) or not self.draw(missing, rows, most, width):
                return
            width = min(WIDEST, width * WIDER)
            yield

    def draw(self, payers: Labels, rows: int, most: int, width: float) -> int:
        """Adds draws, as many as can be paid for.

        Args:
            payers: The goals that pay, by position.
            rows: What each pays at most now.
            most: What each pays at most in all.
            width: How far draws go, where 1 is the prior's own.

        Returns:
            How many were added.
        """
        repeats = self._feedback.repeats
        left = shared_room(self._ledger, payers, most)
        each = max(0, min(rows, left) // repeats)
        if each == 0:
            return 0
        points = self.points(each * len(payers)) * width
        with self._ledger.shared(payers):
            labels = self._feedback.ask(points, np.tile(payers, each))
        self.add(points, labels)
        return len(points)

    def add(self, points: Tensor, labels: Labels) -> None:
        """Adds points that were asked about elsewhere."""
        self.drawn = Draw(
            torch.cat([self.drawn.points, points]),
            torch.cat([self.drawn.labels, torch.from_numpy(labels)]),
        )

    def points(self, n: int) -> Tensor:
        """Draws points from the prior, ``(n, dimensions)``; asks nothing."""
        return draws(self._prior, self._feedback.coordinates, n, self._generator)


def draws(
    prior: ImagePrior, coordinates: Coordinates, n: int, generator: torch.Generator
) -> Tensor:
    """Draws points from a prior, ``(n, dimensions)``; asks nothing.

    Args:
        prior: What is drawn from.
        coordinates: Of its latents.
        n: How many.
        generator: The source of the draws.
    """
    points = coordinates.points(prior.draw(n, generator))
    # A prior of free pixels draws its average only; then the coordinates themselves vary.
    if float(points.abs().max()) == 0:
        points = torch.randn(n, coordinates.dimensions, generator=generator)
    return points
