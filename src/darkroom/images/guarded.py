"""The same model behind a guard: what an attack gets there before the guard refuses it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from darkroom.auditing.record import GuardLimit, GuardRecord
from darkroom.errors import PlanError, TargetError
from darkroom.images.attacks.base import Progress
from darkroom.images.plan import ImagePlan
from darkroom.images.priors.base import ImagePrior
from darkroom.images.targets.base import Target
from darkroom.images.targets.load import open_target
from darkroom.ledger import BudgetExhausted, QueryLedger

GUARD = "guard"
"""What stands in a cell for the defence."""


class Endpoint:
    """A model behind a guard, with what it cost to find out about it.

    Attributes:
        target: The model, of which every row is asked of the guard.
        opened: Rows that were asked before any attack.
    """

    def __init__(self, plan: ImagePlan, given: Target) -> None:
        """Asks the guard two blank images.

        Args:
            plan: One with ``[guarded]``.
            given: The same model without a guard.

        Raises:
            TargetError: If the guard cannot be reached, refuses already, or has another model.
        """
        assert plan.guarded is not None
        try:
            self.target = open_target(
                plan.guarded, authorized_by=plan.run.authorized_by, ends_with_limit=True
            )
        except BudgetExhausted as error:
            raise TargetError(
                "[guarded]: the guard refuses before the attack begins, as when an earlier run has "
                f"spent the budget; go on later with --resume ({error})"
            ) from error
        self._sender = self.target.sender  # type: ignore[attr-defined]
        self.opened = int(self._sender.rows_sent)
        self._before = (0, 0)
        if self.target.classes != given.classes:
            self.target.close()  # type: ignore[attr-defined]
            raise PlanError(
                f"[guarded] answers for {self.target.classes} classes, [target] for "
                f"{given.classes}: name the same model in both"
            )

    def begin(self) -> None:
        """Counts refusals from here."""
        self._before = (self._sender.refusals, self._sender.rows_refused)

    def record(self, charged: int) -> GuardRecord:
        """Returns what the report says of the guard since :meth:`begin`.

        Args:
            charged: Rows that the attacker's ledger has, those refused among them.
        """
        refusals = self._sender.refusals - self._before[0]
        refused = self._sender.rows_refused - self._before[1]
        limits = [
            GuardLimit(name=name, rows=quota.size, seconds=quota.window)
            for name, quota in self._sender.quotas.items()
            if quota.size and quota.window
        ]
        return GuardRecord(
            rows=charged - refused, refusals=refusals, opened=self.opened, limits=tuple(limits)
        )


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
