"""The same model behind a guard: what an attack gets there before the guard refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.plan import ImagePlan
from darkroom.images.targets.base import Target
from darkroom.images.targets.load import open_target
from darkroom.ledger import BudgetExhausted, QueryLedger
from darkroom.vision.priors.base import ImagePrior

# What servers are asked with is installed only where one is asked.
if TYPE_CHECKING:
    from darkroom.images.targets.http import HttpTarget
    from darkroom.remote.guarded import Endpoint


def reach_guard(plan: ImagePlan, given: Target) -> Endpoint[HttpTarget]:
    """Reaches a model behind a guard, and asks it two blank images.

    Args:
        plan: One with ``[guarded]``.
        given: The same model without a guard.

    Raises:
        PlanError: If the guard has another model.
        TargetError: If the guard cannot be reached, or refuses already.
    """
    from darkroom.images.targets.http import HttpTarget
    from darkroom.remote.guarded import Endpoint

    def reach() -> HttpTarget:
        assert plan.guarded is not None
        leave = plan.run.authorized_by
        target = open_target(plan.guarded, authorized_by=leave, ends_with_limit=True)
        assert isinstance(target, HttpTarget), "the plan has checked this"
        return target

    endpoint = Endpoint(reach)
    if endpoint.target.classes != given.classes:
        endpoint.target.close()
        raise PlanError(
            f"[guarded] answers for {endpoint.target.classes} classes, [target] for "
            f"{given.classes}: name the same model in both"
        )
    return endpoint


def until_refused(
    steps: Iterator[Progress], prior: ImagePrior, ledger: QueryLedger
) -> Iterator[Progress]:
    """Yields what an attack has until the guard ends it; that it has at the end in any case.

    Args:
        steps: The attack's.
        prior: Has the most typical image, for an attack that is refused before its first milestone.
        ledger: What every goal cost when the guard refused.
    """
    goals = len(ledger.spent)
    image = prior.decode(prior.start()[None]).detach().numpy()
    last = Progress(ledger.spent, np.repeat(image, goals, axis=0), np.full(goals, np.nan))
    try:
        for progress in steps:
            last = progress
            yield progress
    except BudgetExhausted:
        yield last._replace(queries=ledger.spent)
