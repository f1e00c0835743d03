"""The audit's own attack, prior and view for what was chosen on the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.auto import AutoAttack, effective_access
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.lab.develop.choices import WATCHABLE, Choice, pipeline
from darkroom.lab.develop.watching import Lens, WatchedPrior, WatchedView
from darkroom.lab.live.gate import Gate
from darkroom.ledger import Limit, QueryLedger
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

if TYPE_CHECKING:
    from darkroom.images.cell_plan import ImageCellPlan
    from darkroom.images.job import ImageJob

LABEL_ROWS = 2000
"""Rows a person that an attack on labels may ask at least: few people must pay for the draws that
all of an audit share."""

NOISE = GradientAttack(
    steps=400,
    learning_rate=0.03,
    prior_weight=0.0,
    softness=0.0,
    noise=0.0,
    average=False,
    shift=0.0,
    turn=0.0,
    zoom=0.0,
    flip=0.0,
    probes=0,
    settle=0,
)
"""Makes any picture of which the model is sure: it is neither moved, nor need it be likely."""


@dataclass(frozen=True)
class Parts:
    """What one attack on the page is made of.

    Attributes:
        attack: Itself.
        view: What it sees.
        prior: What it knows.
        goals: The people, ``(n,)``.
        lens: What it looks at.
    """

    attack: Attack
    view: WatchedView
    prior: WatchedPrior
    goals: NDArray[np.int64]
    lens: Lens

    @property
    def expected(self) -> int:
        """The rows a person that it asks unless it ends early."""
        return self.attack.expected_queries()


def assemble(choice: Choice, job: ImageJob, prior: ImagePrior, gate: Gate | None = None) -> Parts:
    """Makes an attack as it was chosen.

    Args:
        choice: What the page asks for.
        job: The audit that it belongs to.
        prior: The fitted prior.
        gate: Where it waits; nowhere when left out.

    Raises:
        PlanError: If there is no such person, or the model does not show so much.
    """
    subject = job.subject
    goals = np.array(choice.people, np.int64)
    if not np.isin(goals, subject.goals).all():
        raise PlanError(f"people: the model's are {subject.goals.min()} to {subject.goals.max()}")
    access = Access.WEIGHTS if choice.noise else choice.level
    if not subject.target.access.includes(access):
        raise PlanError(
            f"the model answers {subject.target.access} at most: choose less than {access}"
        )
    lens = Lens(len(goals))
    gate = gate or Gate()
    view = WatchedView(
        lens,
        subject.target,
        access,
        QueryLedger(len(goals), Limit(per_goal=_budget(job, access)), gate.charged),
        defense=subject.fitted(pipeline(choice.defense)),
        noise=np.random.default_rng([choice.seed, 6]),
        told=choice.told,
    )
    attack = NOISE if choice.noise else _attack(job, access)
    if not (left := effective_access(view)).includes(attack.least_access):
        attack = _attack(job, left)  # the defence leaves too little for it
    if choice.pace == "watch":
        gate.slow_down(WATCHABLE / (attack.expected_queries() * len(goals)))
    known = noise_prior(subject.target.spec, choice.seed) if choice.noise else prior
    return Parts(attack, view, WatchedPrior(known, lens, gate.check), goals, lens)


def noise_prior(spec: ImageSpec, seed: int) -> MeanPrior:
    """Returns free pixels that begin at grey noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = 0.5 + 0.2 * torch.randn(spec.shape, generator=generator)
    return MeanPrior(spec.low + spec.width_of_range * noise.clamp(0, 1), spec)


def _attack(job: ImageJob, access: Access) -> Attack:
    """Returns the plan's own attack with this access, or the strongest that there is."""
    planned = _planned(job, access)
    attack = _strongest(access) if planned is None else planned.attack
    if isinstance(attack, SurrogateAttack):
        attack = replace(attack, rows=max(attack.rows, LABEL_ROWS))
    return attack


def _budget(job: ImageJob, access: Access) -> int | None:
    """Returns the rows a person that the plan's own attack may ask."""
    planned = _planned(job, access)
    return None if planned is None else planned.budget


def _planned(job: ImageJob, access: Access) -> ImageCellPlan | None:
    """Returns the plan's first attack with this access and without a defence."""
    fitting = (
        cell
        for cell in job.cells()
        if cell.access is access and not cell.defense.defenses and cell.guarded is None
    )
    return next(fitting, None)


def _strongest(access: Access) -> Attack:
    return SurrogateAttack() if access is Access.LABEL else AutoAttack()
