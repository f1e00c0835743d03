"""Reconstruction by gradient ascent through the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress, milestones
from darkroom.images.attacks.search.losses import Loss, objective, sharpness
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted
from darkroom.vision.memory import RowBudget
from darkroom.vision.networks.precision import FUSED
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.transforms import NUMBERS, RandomAffine, move, move_alike

AHEAD = 32
"""Steps for which moves and noise are drawn at a time."""

LATE = 3
"""How much more late steps count in an average: about as this power of their number."""


@dataclass(frozen=True)
class GradientAttack(Attack):
    """White-box model inversion in the latent space of a prior.

    For every goal and restart, Adam (Kingma & Ba 2015) lowers

        loss(target(T(image)), goal) + prior_weight * energy(z) + total_variation * TV(image)

    with the image ``prior(z + e)``, where ``e`` is fresh normal noise at every step, the same for
    all goals, and ``T`` a fresh random shift, turn, zoom and flip (the expectation over
    transformations of Athalye et al. 2018). Both keep the search from ending in patterns that only
    the target sees: what is found must be taken for the goal among many faces near it, as the mean
    of a posterior is and its mode need not be. With cross-entropy and the prior's full density, the
    loss would be the bound of Kingma & Welling 2014 for a normal posterior of fixed spread.

    Log-confidences of which the margin could not grow by one before the prior stops the search, as
    of logits divided by a high temperature, are multiplied until it could (:func:`.sharpness`).

    What is returned is the path's average, in which late steps count most (Polyak & Juditsky 1992;
    the weights are those of Shamir & Zhang 2013). Restart 0 begins at the prior's most typical
    image, the others near it; each has an optimiser state of its own, begun at zero, and the best
    seen of all is returned.

    After Fredrikson et al. 2015 (as :class:`darkroom.images.attacks.mi_face.MIFaceAttack` has it),
    with these differences:

    - the loss is the margin between the other classes and the goal, on log-confidences, or
      cross-entropy, instead of 1 - f: its gradient does not vanish where f is near 0 or 1;
    - the other classes count by a softened maximum, not the best alone: a face that differs from
      one rival need not look like the goal;
    - Adam replaces plain gradient descent, and a fixed number of steps the patience rule;
    - the search is in a prior's latent space and has its density as a term;
    - random transformations, noise, averaging, restarts, and a total-variation term are added,
      and log-confidences that hardly differ are multiplied;
    - PROCESS (denoise and sharpen) is left out: the prior keeps images clean.

    Attributes:
        steps: Gradient steps, 1 or more.
        learning_rate: Adam's, in units of the prior's spread.
        loss: ``margin`` or ``cross-entropy``.
        softness: The temperature of the maximum over other classes in ``margin``, in units of
            log-confidence: 0 for the best other class alone, more for more of them alike.
        restarts: Searches a goal, all in one tensor.
        jitter: Standard deviation of the start of restarts 1 and up, in units of the spread.
        prior_weight: Weight of the prior's energy. It never outweighs a margin altogether.
        total_variation: Weight of the mean absolute difference of neighbouring pixels.
        noise: Standard deviation of the noise on latents, in units of the spread.
        average: Whether the path's average is returned instead of one of its points.
        shift, turn, zoom, flip: The random moves; see
            :class:`darkroom.vision.transforms.RandomAffine`.
        probes: Fixed moves and noise, beside none, under which candidates are compared.
        confidence: A goal is settled when its best candidate reaches this under every probe.
        settle: Steps that a goal goes on after it settled: an image that is only just accepted
            shows less of the person than one well inside the class.
        memory: Bytes that activations may take; more rows than fit are answered in turns.
    """

    name: ClassVar[str] = "gradient"
    access: ClassVar[Access] = Access.WEIGHTS
    paper: ClassVar[str] = "after Fredrikson, Jha & Ristenpart 2015 (CCS)"

    steps: int = 300
    learning_rate: float = 0.03
    loss: Loss = "margin"
    softness: float = 1.5
    restarts: int = 1
    jitter: float = 0.5
    prior_weight: float = 1.0
    total_variation: float = 0.0
    noise: float = 0.3
    average: bool = True
    shift: float = 0.04
    turn: float = 0.1
    zoom: float = 0.05
    flip: float = 0.5
    probes: int = 4
    confidence: float = 0.999
    settle: int = 100
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range, or the loss is unknown.
        """
        if self.loss not in ("margin", "cross-entropy"):
            raise PlanError(f"attack gradient: loss {self.loss!r} is not margin or cross-entropy")
        for name in ("steps", "restarts", "memory"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack gradient: {name} must be 1 or more")
        if not self.learning_rate > 0 or not 0 < self.confidence <= 1:
            raise PlanError(
                "attack gradient: learning_rate must be positive, confidence above 0 and at most 1"
            )
        if not (0 <= self.flip <= 1 and 0 <= self.zoom < 1):
            raise PlanError("attack gradient: flip must be 0 to 1, zoom 0 or more and below 1")
        weights = ("jitter", "prior_weight", "total_variation", "softness", "noise")
        for name in (*weights, "shift", "turn", "probes", "settle"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"attack gradient: {name} must be 0 or more")

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        comparisons = len(milestones(self.steps)) + 1
        return self.restarts * (self.steps + comparisons * (1 + self.probes))

    def apart(self, view: View) -> bool:  # noqa: ARG002 - it never depends on that
        """Returns true; see :meth:`Attack.apart`."""
        return True

    def best_latents(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], *, rng: np.random.Generator
    ) -> Tensor:
        """Runs to the end and returns what decodes to the answer, ``(goals, *latent_shape)``.

        For attacks that go on from there, on the processor; arguments as :meth:`run`.
        """
        search = _Search(self, view, prior, goals, rng)
        for _ in self._steps(search):
            pass
        return search.best[search.best_rows().to(view.device)].cpu()

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        return self._steps(_Search(self, view, prior, goals, rng))

    def _steps(self, search: _Search) -> Iterator[Progress]:
        yield search.progress()
        marks = set(milestones(self.steps))
        try:
            for step in range(self.steps):
                search.differentiate()
                if step in marks:
                    search.compare(step)
                    yield search.progress()
                    if search.finished:
                        return
                search.advance()
            search.compare(self.steps)
        except BudgetExhausted:
            pass
        yield search.progress()


class _Search:
    """The state of one search: every goal times every restart is a row of one tensor.

    Latents, moves and gradients are where the target is, and stay there from step to step; only
    when candidates are compared do a few numbers of each row come back.
    """

    def __init__(
        self,
        attack: GradientAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self.attack, self.view, self.device = attack, view, view.device
        self.prior = prior.to(self.device)
        root = int(rng.integers(2**62))
        self.moves = RandomAffine(attack.shift, attack.turn, attack.zoom, attack.flip)
        generator = torch.Generator().manual_seed(root)
        self.probes = self.moves.matrices(attack.probes, generator).to(self.device)
        self.noises = self._draw_noise(generator)
        self.fixed = [next(self.noises) if attack.noise else None for _ in self.probes]
        # A source a goal: its answer must not hang on which others are attacked beside it.
        self.sources = [np.random.default_rng([root, int(goal)]) for goal in goals]
        self.ahead: Iterator[Tensor] = iter(())
        self.positions = np.repeat(np.arange(len(goals)), attack.restarts)
        self.classes = torch.from_numpy(np.repeat(goals, attack.restarts)).to(self.device)
        self.latents = self._starts(prior).to(self.device)
        self.taken = 0
        self.average = self.latents.clone() if attack.average else self.latents
        self.optimizer = torch.optim.Adam(
            [self.latents],
            lr=attack.learning_rate * prior.spread,
            fused=self.device.type in FUSED,
        )
        self.budget = RowBudget(attack.memory, self.device)
        rows = len(self.positions)
        self.active = torch.ones(rows, dtype=torch.bool)
        self._follow()
        self.sharper: Tensor | None = None  # (rows,)
        self.settled_at = torch.full((len(goals),), -1)
        self.best = self.latents.clone()
        self.best_objective = torch.full((rows,), torch.inf)
        self.best_confidence = torch.full((rows,), torch.nan, dtype=torch.float64)
        self.best_worst = torch.zeros(rows, dtype=torch.float64)

    def _follow(self) -> None:
        """Notes which rows go on, here and where the target is."""
        self.rows = self.active.nonzero()[:, 0]
        self.rows_there = self.rows.to(self.device)
        still = ~self.active.view(-1, *[1] * (self.latents.ndim - 1))
        self.still = still.to(self.device)

    def _starts(self, prior: ImagePrior) -> Tensor:
        """Returns the first latents: the prior's own for restart 0, near it for the others."""
        attack = self.attack
        noise = torch.zeros(len(self.sources), attack.restarts, *prior.latent_shape)
        if attack.restarts > 1:
            shape = (attack.restarts - 1, *prior.latent_shape)
            for row, source in enumerate(self.sources):
                noise[row, 1:] = torch.from_numpy(source.standard_normal(shape, np.float32))
        noise *= attack.jitter * prior.spread
        return prior.project((prior.start() + noise).flatten(0, 1)).contiguous()

    @property
    def finished(self) -> bool:
        """Whether every goal has reached the confidence asked for."""
        return not bool(self.active.any())

    def _objective(self, log_scores: Tensor, rows: Tensor) -> Tensor:
        """Returns the loss of some rows, ``(n,)``."""
        attack, sharper = self.attack, None if self.sharper is None else self.sharper[rows]
        return objective(log_scores, self.classes[rows], attack.loss, attack.softness, sharper)

    def _regularizer(self, latents: Tensor, images: Tensor) -> Tensor:
        """Returns the prior's and the smoothness terms of each row, ``(n,)``."""
        terms = self.attack.prior_weight * self.prior.energy(latents)
        if self.attack.total_variation:
            down = images.diff(dim=2).abs().flatten(1).mean(dim=1)
            across = images.diff(dim=3).abs().flatten(1).mean(dim=1)
            terms = terms + self.attack.total_variation * (down + across)
        return terms

    def differentiate(self) -> None:
        """Leaves the gradient of the objective at every active row's latents; zero elsewhere."""
        matrices = None if self.moves.is_identity else self._draw_moves()[self.rows_there]
        noise = next(self.noises) if self.attack.noise else None
        self.latents.grad = torch.zeros_like(self.latents)
        # The slope of cross-entropy is small too where the goal is what the model says.
        faint = not self.taken and self.attack.loss == "margin"
        slopes = torch.zeros_like(self.latents) if faint else None
        for part in self.budget.chunks(len(self.rows)):
            chosen = self.rows_there[part]
            every = len(chosen) == len(self.latents)  # to copy none takes a tenth of the time away
            latents = self.latents.detach() if every else self.latents[chosen]
            latents.requires_grad_(True)
            with self.budget.measured(len(chosen)):
                near = latents if noise is None else latents + self._of(noise, chosen)
                images = self.prior.decode(near)
                seen = images if matrices is None else move(images, matrices[part])
                log_scores = self.view.log_scores(seen, self.positions[self.rows[part].numpy()])
                loss = self._objective(log_scores, chosen)
                total = (loss + self._regularizer(latents, images)).sum()
            if slopes is not None:
                slopes[chosen] = torch.autograd.grad(loss.sum(), latents, retain_graph=True)[0]
            gradient = torch.autograd.grad(total, latents)[0]
            if every:
                self.latents.grad = gradient
            else:
                self.latents.grad[chosen] = gradient
        if slopes is not None:
            self._sharpen(slopes)

    def _sharpen(self, slopes: Tensor) -> None:
        """Multiplies, from now on, margins that are faint beside the prior.

        Restart 0 begins at the prior's most typical image, and speaks for all of its goal. Slopes
        are the gradients of the margins alone, ``(rows, *latent_shape)``.
        """
        first = slice(None, None, self.attack.restarts)
        starts = self.latents.detach()[first]
        found = sharpness(self.prior, starts, slopes[first], self.attack.prior_weight)
        if found is not None and self.latents.grad is not None:
            self.sharper = found.repeat_interleave(self.attack.restarts)
            self.latents.grad += slopes * (self.sharper - 1).view(-1, *[1] * (slopes.ndim - 1))

    def _of(self, noise: Tensor, rows: Tensor) -> Tensor:
        """Returns the noise of some rows: that of their restart."""
        return noise if len(noise) == 1 else noise[rows % len(noise)]

    def _draw_moves(self) -> Tensor:
        """Returns a move for every row, active or not, so that no row's draws hang on others."""
        uniform = next(self.ahead, None)
        if uniform is None:
            shape = (AHEAD, NUMBERS, self.attack.restarts)
            drawn = np.stack([source.random(shape, np.float32) for source in self.sources], axis=2)
            self.ahead = iter(torch.from_numpy(drawn).flatten(2).to(self.device))
            uniform = next(self.ahead)
        return self.moves.drawn(uniform)

    def _draw_noise(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yields noise for each step and restart, ``(restarts, *latent_shape)``.

        It is the same for all goals, so that what it does to pictures tells nobody apart.
        """
        size = self.attack.noise * self.prior.spread
        while True:
            shape = (AHEAD, self.attack.restarts, *self.prior.latent_shape)
            yield from (size * torch.randn(shape, generator=generator)).to(self.device)

    @torch.no_grad()
    def advance(self) -> None:
        """Takes one step with active rows; the others stay."""
        kept = None if len(self.rows) == len(self.latents) else self.latents.clone()
        self.optimizer.step()
        moved = self.prior.project(self.latents)
        self.latents.copy_(moved if kept is None else torch.where(self.still, kept, moved))
        self.taken += 1
        if self.attack.average:
            self.average.lerp_(self.latents, (LATE + 1) / (self.taken + LATE))

    @torch.no_grad()
    def compare(self, step: int) -> None:
        """Puts what active rows have come to in place of the best where it is better."""
        for part in self.budget.chunks(len(self.rows)):
            self._compare_rows(self.rows[part], self.rows_there[part])
        reached = self.best_worst.view(-1, self.attack.restarts).amax(dim=1)
        newly = (reached >= self.attack.confidence) & (self.settled_at < 0)
        self.settled_at[newly] = step
        done = (self.settled_at >= 0) & (step >= self.settled_at + self.attack.settle)
        self.active &= ~done.repeat_interleave(self.attack.restarts)
        self._follow()

    def _compare_rows(self, rows: Tensor, there: Tensor) -> None:
        latents = self.average[there]
        images = self.prior.decode(latents)
        worth = torch.zeros(len(rows), device=self.device)
        confidences = []
        for seen in self._looks(latents, images, there):
            log_scores = self.view.log_scores(seen, self.positions[rows.numpy()])
            worth += self._objective(log_scores, there) / (1 + len(self.probes))
            goal = log_scores.gather(1, self.classes[there, None])[:, 0]
            confidences.append(goal.cpu().double().exp())
        worth += self._regularizer(latents, images)
        found = worth.cpu()
        better = found < self.best_objective[rows]
        kept = better.to(self.device).view(-1, *[1] * (latents.ndim - 1))
        self.best[there] = torch.where(kept, latents, self.best[there])
        chosen = rows[better]
        self.best_objective[chosen] = found[better]
        self.best_confidence[chosen] = confidences[0][better]
        self.best_worst[chosen] = torch.stack(confidences).amin(dim=0)[better]

    def _looks(self, latents: Tensor, images: Tensor, there: Tensor) -> Iterator[Tensor]:
        """Yields candidates as they are, and then as every probe sees them."""
        yield images
        for matrix, noise in zip(self.probes, self.fixed, strict=True):
            near = images
            if noise is not None:
                near = self.prior.decode(latents + self._of(noise, there))
            yield move_alike(near, matrix)

    def best_rows(self) -> Tensor:
        """Returns the row of the best restart of each goal, ``(goals,)``."""
        restarts = self.attack.restarts
        best = self.best_objective.view(-1, restarts).argmin(dim=1)
        return best + torch.arange(len(best)) * restarts

    @torch.no_grad()
    def progress(self) -> Progress:
        """Returns the best restart of each goal."""
        rows = self.best_rows()
        best = self.best[rows.to(self.device)]
        parts = [
            self.prior.decode(part).cpu() for part in torch.split(best, self.budget.rows or 64)
        ]
        return Progress(
            self.view.ledger.spent,
            torch.cat(parts).numpy(),
            self.best_confidence[rows].numpy(),
        )
