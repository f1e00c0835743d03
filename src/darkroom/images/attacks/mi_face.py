"""MI-Face, the white-box reconstruction of faces that began the field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress, milestones
from darkroom.images.attacks.process import denoise, sharpen
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted
from darkroom.vision.memory import RowBudget
from darkroom.vision.priors.base import ImagePrior

Process = Literal["none", "denoise-sharpen"]
Start = Literal["prior", "black"]


@dataclass(frozen=True)
class MIFaceAttack(Attack):
    """Algorithm 1 of Fredrikson, Jha & Ristenpart 2015 (CCS), for all goals in one tensor.

    For each goal, with ``c(x) = 1 - f_goal(x) + auxiliary * energy(x)``,

        x_i = PROCESS(x_{i-1} - learning_rate * grad c(x_{i-1})),    i = 1 .. steps

    until ``c(x_i) >= max(c(x_{i-1}), ..., c(x_{i-patience}))`` or the confidence ``f_goal(x_i)``
    is at least ``confidence``; the answer is the ``x_i`` of least cost. A goal that stops leaves
    the batch. Each ``x_i`` is asked once: its cost and its gradient come from the same pass, so
    ``n`` steps cost a goal ``n + 1`` queries.

    The paper's defaults are the ones here. Differences from the paper:

    - its listing stops at ``c(x_i) <= gamma``, which with gamma 0.99 ends nearly every search at
      the first step; its text, which is followed here, stops when the confidence reaches gamma;
    - where fewer than ``patience`` costs came before, which the listing leaves open, the search
      goes on;
    - ``x_0`` may be the answer, if no later one is better;
    - it starts at the prior's most typical image unless ``start`` is ``black``, the paper's zeros;
    - pixels are kept within the target's range after every step (``prior.project``), which the
      listing does not say; a step is in intensities of a range of one, whatever the target's;
    - the auxiliary term, which the paper leaves to the attacker and sets to zero, is the prior's
      energy;
    - with a generator whose encoder and decoder are the first layer of an autoencoder, the search
      is in that layer's latent space, as the paper's against its DAE; but the paper hands the
      latent vector to the second layer, where a query here is an image: the decoded one;
    - ``denoise-sharpen`` is the paper's PROCESS-DAE (decode, non-local means, sharpen, encode),
      whose filters and their parameters it does not give: see
      :mod:`darkroom.images.attacks.process`; ``process_every`` lets it run less often.

    Attributes:
        steps: The paper's alpha, 1 or more.
        patience: The paper's beta, 1 or more.
        confidence: The paper's gamma, above 0 and at most 1.
        learning_rate: The paper's lambda, in the units of the prior's latents.
        auxiliary: Weight of the prior's energy, 0 or more.
        process: What follows each step: ``none`` or ``denoise-sharpen``.
        process_every: Steps from one PROCESS to the next, 1 or more; the paper's is 1.
        start: ``prior`` or ``black``.
        memory: Bytes that activations may take; more rows than fit are answered in turns.
    """

    name: ClassVar[str] = "mi-face"
    access: ClassVar[Access] = Access.WEIGHTS
    paper: ClassVar[str] = "Fredrikson, Jha & Ristenpart 2015 (CCS), Algorithm 1"

    steps: int = 5000
    patience: int = 100
    confidence: float = 0.99
    learning_rate: float = 0.1
    auxiliary: float = 0.0
    process: Process = "none"
    process_every: int = 1
    start: Start = "prior"
    memory: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range, or ``process`` or ``start`` is unknown.
        """
        if self.process not in ("none", "denoise-sharpen"):
            raise PlanError(
                f"attack mi-face: process {self.process!r} is not none or denoise-sharpen"
            )
        if self.start not in ("prior", "black"):
            raise PlanError(f"attack mi-face: start {self.start!r} is not prior or black")
        for name in ("steps", "patience", "process_every", "memory"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack mi-face: {name} must be 1 or more")
        if self.learning_rate <= 0 or self.auxiliary < 0 or not 0 < self.confidence <= 1:
            raise PlanError(
                "attack mi-face: learning_rate must be positive, auxiliary 0 or more, confidence "
                "above 0 and at most 1"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.steps + 1

    def apart(self, view: View) -> bool:  # noqa: ARG002 - it never depends on that
        """Returns true; see :meth:`Attack.apart`."""
        return True

    def _search(
        self,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,  # noqa: ARG002 - nothing here is drawn
    ) -> Iterator[Progress]:
        yield from Algorithm1(self, view, prior, goals).run()


class Algorithm1:
    """The paper's algorithm; every goal that goes on is a row of one tensor.

    All but ``rows`` is where the target is, and stays there from step to step.

    Attributes:
        rows: The positions of the goals that go on, ``(active,)``, on the processor.
        latents, gradient, cost: Of those, the current ones.
        recent: Their last costs, ``(patience, active)``; infinite until there are that many.
        best, best_cost, best_confidence: Of all goals.
    """

    def __init__(
        self, attack: MIFaceAttack, view: View, prior: ImagePrior, goals: NDArray[np.int64]
    ) -> None:
        """Asks nothing yet; arguments as :meth:`darkroom.images.attacks.base.Attack.run`."""
        self.attack, self.view, self.device = attack, view, view.device
        self.prior = prior.to(self.device)
        self.budget = RowBudget(attack.memory, self.device)
        self.rows = torch.arange(len(goals))
        self.rows_there = self.rows.to(self.device)
        self.classes = torch.from_numpy(goals.astype(np.int64))[:, None].to(self.device)
        start = self._start(prior).expand(len(goals), *prior.latent_shape)
        self.latents = start.contiguous().to(self.device)
        self.gradient = torch.zeros_like(self.latents)
        # In double, costs near one stay apart: single precision cannot tell 1 - 1e-9 from 1. Other
        # devices are slow at it, or have none.
        self.exact = torch.float64 if self.device.type == "cpu" else torch.float32
        self.cost = torch.full((len(goals),), torch.inf, dtype=self.exact, device=self.device)
        self.confidence = torch.full_like(self.cost, torch.nan)
        self.recent = self.cost.repeat(attack.patience, 1)
        self.asked = 0
        self.best = self.latents
        self.best_cost, self.best_confidence = self.cost.clone(), self.confidence.clone()

    def _start(self, prior: ImagePrior) -> Tensor:
        """Returns the first latents, ``(1, *latent_shape)``."""
        if self.attack.start == "prior":
            return prior.start()[None]
        spec = prior.spec
        with torch.no_grad():
            return prior.encode(torch.full((1, *spec.shape), spec.low))

    def run(self) -> Iterator[Progress]:
        """Takes all steps, or as many as the budget pays for."""
        yield self.progress()
        marks = set(milestones(self.attack.steps))
        try:
            self.ask()
            for step in range(self.attack.steps):
                if step in marks:
                    yield self.progress()
                self.advance(step + 1)
                self.ask()
                self.stop()
                if self.finished:
                    break
        except BudgetExhausted:
            pass
        yield self.progress()

    @property
    def finished(self) -> bool:
        """Whether every goal has stopped."""
        return len(self.rows) == 0

    def ask(self) -> None:
        """Asks for the cost and the gradient at every active row, and keeps the best.

        Raises:
            BudgetExhausted: If the budget does not pay for all; what it paid for was kept.
        """
        self.cost = torch.full_like(self.best_cost[: len(self.rows)], torch.inf)
        self.confidence = torch.full_like(self.cost, torch.nan)
        try:
            for part in self.budget.chunks(len(self.rows)):
                self.ask_part(part)
        finally:
            self._keep_best()
        self.asked += 1

    def ask_part(self, part: slice) -> None:
        """Asks for cost, confidence and gradient of some of the active rows.

        Args:
            part: Which.
        """
        rows = self.rows[part]
        latents = self.latents[part].detach().requires_grad_(True)
        with self.budget.measured(len(rows)):
            log_scores = self.view.log_scores(self.prior.decode(latents), rows.numpy())
            goal = log_scores.gather(1, self.classes[self.rows_there[part]])[:, 0]
            confidence = goal.to(self.exact).exp()
            cost = 1 - confidence
            if self.attack.auxiliary:
                cost = cost + self.attack.auxiliary * self.prior.energy(latents)
        gradient = torch.autograd.grad(cost.sum(), latents)[0]
        self.cost[part], self.confidence[part] = cost.detach(), confidence.detach()
        if len(rows) == len(self.rows):
            self.gradient = gradient
        else:
            self.gradient[part] = gradient

    def _keep_best(self) -> None:
        """Puts the current latents in place of the best where they cost less."""
        better = self.cost < self.best_cost[self.rows_there]
        if not better.any():
            return
        rows = self.rows_there[better]
        # Steps never write in place, so the current tensor itself can be the best.
        if len(rows) == len(self.best):
            self.best = self.latents
        else:
            self.best = self.best.index_copy(0, rows, self.latents[better])
        self.best_cost[rows] = self.cost[better]
        self.best_confidence[rows] = self.confidence[better]

    @torch.no_grad()
    def advance(self, step: int) -> None:
        """Takes step number ``step``, counted from one, with every active row."""
        self.recent[(self.asked - 1) % self.attack.patience] = self.cost
        moved = torch.add(self.latents, self.gradient, alpha=-self.attack.learning_rate)
        self.latents = self.prior.project(moved)
        if self.attack.process != "none" and step % self.attack.process_every == 0:
            for part in self.budget.chunks(len(self.rows)):
                self.latents[part] = self._process(self.latents[part])

    def _process(self, latents: Tensor) -> Tensor:
        """Returns the latents of the cleaned-up images."""
        low, width = self.prior.spec.low, self.prior.spec.width_of_range
        images = (self.prior.decode(latents) - low) / width
        return self.prior.encode(sharpen(denoise(images)) * width + low)

    def stop(self) -> None:
        """Takes goals that are sure enough, or no longer improve, out of the batch."""
        stuck = self.cost >= self.recent.amax(dim=0)
        done = stuck | (self.confidence >= self.attack.confidence)
        if not done.any():
            return
        on = ~done
        self.rows, self.rows_there = self.rows[on.cpu()], self.rows_there[on]
        self.latents, self.gradient = self.latents[on], self.gradient[on]
        self.cost, self.confidence = self.cost[on], self.confidence[on]
        self.recent = self.recent[:, on]

    @torch.no_grad()
    def progress(self) -> Progress:
        """Returns the best of each goal."""
        parts = torch.split(self.best, self.budget.rows or 64)
        images = torch.cat([self.prior.decode(part).cpu() for part in parts])
        return Progress(
            self.view.ledger.spent,
            images.numpy().astype(np.float32, copy=False),
            self.best_confidence.cpu().double().numpy().copy(),
        )
