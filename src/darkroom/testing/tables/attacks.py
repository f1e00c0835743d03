"""Checks of attacks on tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED
from darkroom.ledger import Limit, QueryLedger
from darkroom.tables.attacks.base import Records, TableAttack, TableProgress
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.targets.view import TableView
from darkroom.testing.promises import (
    check_part,
    global_randomness_untouched,
    refuses,
    require,
    same,
)
from darkroom.testing.tables.small import Table, small_table

LIMITS = (Limit(per_goal=2), Limit(per_goal=12), Limit(total=300))
"""Budgets that end an attack before its first candidates, or between two records."""


@dataclass(frozen=True)
class Trial:
    """An attack, and the table that it is tried on.

    Attributes:
        attack: The attack.
        table: The model, its rows and what is known before.
    """

    attack: TableAttack
    table: Table

    def run(
        self, *, access: Access | None = None, limit: Limit | None = None, seed: int = 0
    ) -> tuple[list[TableProgress], QueryLedger]:
        """Attacks every record.

        Returns:
            All that the attack yields, and what it was charged.
        """
        target, rows, response, prior = self.table
        ledger = QueryLedger(len(rows), limit)
        view = TableView(target, access or self.attack.access, ledger)
        errors = Errors.of(response, target.predict(rows), target.classes)
        if self.attack.weighs_scores and target.has_scores:
            told = target.scores(rows)[np.arange(len(rows)), response.astype(np.int64)]
            errors = errors._replace(told=told)
        records, rng = Records(self.table.known, response), np.random.default_rng(seed)
        return list(self.attack.run(view, prior, records, errors, rng=rng)), ledger

    @cached_property
    def ran(self) -> tuple[list[TableProgress], QueryLedger]:
        """What :meth:`run` returns without a budget."""
        return self.run()

    def right(self, progress: TableProgress) -> NDArray[np.bool_]:
        """Tells which records are guessed rightly."""
        secret = self.table.target.schema.positions(self.table.target.schema.sensitive)[0]
        found: NDArray[np.bool_] = progress.posterior.argmax(axis=1) == self.table.rows[:, secret]
        return found


def guesses_better_than_its_prior(trial: Trial) -> None:
    """More records are guessed rightly than without the model."""
    before, after = (trial.right(one).mean() for one in (trial.ran[0][0], trial.ran[0][-1]))
    name = trial.attack.name
    require(after > before, f"{name} guesses {after:.0%} rightly, its prior alone {before:.0%}")


def answers_probabilities(trial: Trial) -> None:
    """Every posterior is finite, not negative, and sums to one."""
    for progress in trial.ran[0]:
        posterior = progress.posterior
        shape = (len(trial.table.rows), len(trial.table.prior.candidates))
        name = trial.attack.name
        require(posterior.shape == shape, f"{name} answers {posterior.shape}, not {shape}")
        fair = (posterior >= 0).all() and np.allclose(posterior.sum(axis=1), 1)
        require(fair, f"{name} answers no probabilities")


def counts_what_it_asks(trial: Trial) -> None:
    """Progress begins at no query and ends at what the ledger has, no more than was said."""
    name, (answers, ledger) = trial.attack.name, trial.ran
    require(not answers[0].queries.any(), f"{name} tells nothing before its first query")
    told = answers[-1].queries.tolist()
    require(told == ledger.spent.tolist(), f"{name} says other queries than the ledger has")
    said = trial.attack.expected_queries(trial.table.prior.candidates, UNCHANGED)
    most = int(ledger.spent.max())
    require(most <= said, f"{name} expects {said} rows a record and spends {most}")


def follows_the_seed(trial: Trial) -> None:
    """The same seed gives the same answers, and nothing global is drawn from."""
    with global_randomness_untouched(f"attack {trial.attack.name}"):
        again = trial.run()[0]
    require(same(again, trial.ran[0]), f"{trial.attack.name} answers otherwise with the same seed")


def keeps_the_budget(trial: Trial) -> None:
    """No more is asked than the ledger allows; who could not be asked about keeps the prior."""
    name = trial.attack.name
    for limit in LIMITS:
        answers, ledger = trial.run(limit=limit)
        over = limit.per_goal is not None and ledger.spent.max() > limit.per_goal
        require(not over, f"{name} spends more than {limit.per_goal} rows a record")
        unasked = ledger.spent == 0
        kept = np.allclose(answers[-1].posterior[unasked], answers[0].posterior[unasked])
        require(kept, f"{name} guesses about records that it did not ask about")


def asks_about_each_record_alone(trial: Trial) -> None:
    """What is found of records does not hang on which are asked about together."""
    attack, (target, rows, response, prior) = trial.attack, trial.table

    def found(chosen: slice) -> NDArray[np.float64]:
        records = Records(trial.table.known[chosen], response[chosen])
        errors = Errors.of(response, target.predict(rows), target.classes)
        view = TableView(target, attack.access, QueryLedger(len(records.known)))
        asked = attack.ask(view, prior, records, errors, rng=np.random.default_rng(0))
        return np.concatenate([one.found for one in asked])

    half = len(rows) // 2
    apart = np.concatenate([found(slice(half)), found(slice(half, None))])
    alike = np.allclose(found(slice(None)), apart, rtol=1e-6, atol=1e-9)
    require(alike, f"{attack.name} finds something else of records when others are asked about")


def refuses_too_little_access(trial: Trial) -> None:
    """With less access than it says that it needs, it does not run."""
    for access in (Access.SCORES, Access.LABEL):
        if not access.includes(trial.attack.access):
            refuses(
                partial(trial.run, access=access),
                f"{trial.attack.name} runs with {access}, less than {trial.attack.access}",
            )


PROMISES = (
    answers_probabilities,
    counts_what_it_asks,
    guesses_better_than_its_prior,
    follows_the_seed,
    keeps_the_budget,
    asks_about_each_record_alone,
    refuses_too_little_access,
)
"""What every attack on tables owes."""


def check_attack(attack: TableAttack) -> None:
    """Checks an attack on a decision tree of a small table, whose response hangs on the secret.

    Args:
        attack: The attack.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    from sklearn.tree import DecisionTreeClassifier

    check_part(attack)
    trial = Trial(attack, small_table(DecisionTreeClassifier(random_state=0)))
    for promise in PROMISES:
        promise(trial)
