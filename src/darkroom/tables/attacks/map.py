"""Maximum a posteriori: the sensitive value that best explains what happened."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.tables.attacks.base import TableAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.candidates import Candidates
from darkroom.tables.schema import Rows
from darkroom.tables.targets.base import Predictions
from darkroom.tables.targets.view import TableView


@dataclass(frozen=True)
class MapAttack(TableAttack):
    """The attack of Fredrikson et al. 2014 on pharmacogenetic dosing.

    For each record the model is asked once with each candidate value in place of the sensitive
    one. A candidate's weight is its prior probability times how probable the true response is
    where the model predicts what it did: a Gaussian around the prediction for regressors, the
    column of the confusion matrix for classifiers (as in Fredrikson et al. 2015). Unknown columns
    are summed over, each value weighing as much as the prior says. The guess is the heaviest.

    Fredrikson, Lantz, Jha, Lin, Page & Ristenpart 2014, "Privacy in Pharmacogenetics", USENIX
    Security, figure 2. Differences from it:

    - the paper sums over rows of the full domain that agree with what is known; here the known
      columns are fixed, which is the same, and an unknown numeric column is represented by ten
      values of equal probability;
    - more than ``draws`` combinations of unknown columns are sampled (a Latin hypercube) instead
      of listed;
    - the prior may be conditional on known columns or a trained imputation model, where the paper
      has independent marginals;
    - behind rounded answers a candidate weighs as much as the Gaussian over the cell in which the
      prediction must lie, and behind noise the Gaussian is wider by it; where the noise is fresh,
      each question is asked ``repeats`` times, and the answers are averaged, or voted on;
    - the paper's error model is that of the published algorithm; here it is measured on whichever
      rows the audit says (training rows unless told otherwise).

    Attributes:
        repeats: How often the same is asked where noise is fresh, as far as the budget goes.
        draws: Values of unknown columns that are summed over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "map"
    access: ClassVar[Access] = Access.LABEL
    paper: ClassVar[str] = "Fredrikson et al. 2014 (USENIX Security)"

    repeats: int = 16
    draws: int = 64
    memory: int = 1 << 26

    def __post_init__(self) -> None:
        """Refuses values that make no attack.

        Raises:
            PlanError: If a number is out of its range.
        """
        super().__post_init__()
        if self.repeats < 1:
            raise PlanError(f"attack {self.name}: repeats must be 1 or more")

    def expected_queries(self, candidates: Candidates, effect: Effect = UNCHANGED) -> int:
        """Returns the rows a record that the attack spends at most; see the base."""
        return super().expected_queries(candidates) * self.asks(effect)

    def adaptation(self, view: TableView) -> tuple[str, ...]:
        """Says what is done about rounding and noise; see :meth:`TableAttack.adaptation`."""
        effect, said = view.effect, []
        if view.classes is None and effect.step:
            said.append(
                f"Predictions are rounded to steps of {effect.step:g}: a candidate weighs as much "
                "as all predictions together that are rounded to its answer."
            )
        if not effect.deterministic:
            why = "may differ, for all that is known" if effect.silent else "differ"
            settled = "averaged" if view.classes is None else "put to a vote"
            said.append(
                f"Answers to the same question {why}: each is asked {self.repeats} times, as far "
                f"as the budget goes, and the answers are {settled}."
            )
        return tuple(said)

    def asks(self, effect: Effect) -> int:
        """Returns how often the same is asked; see :meth:`TableAttack.asks`."""
        return 1 if effect.deterministic else self.repeats

    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,
    ) -> NDArray[np.float64]:
        answers = [view.predict(rows, goals)]
        with suppress(BudgetExhausted):
            while len(answers) < self.asks(view.effect):
                answers.append(view.predict(rows, goals))
        settled = answers[0] if len(answers) == 1 else _settled(answers, view.classes)
        return errors.behind(view.effect, len(answers)).log_likelihood(response, settled)


def _settled(answers: list[Predictions], classes: int | None) -> Predictions:
    """Returns the mean of repeated answers ``(n,)``, or the class that is named most often."""
    if classes is None:
        return np.asarray(np.mean(answers, axis=0))
    votes = np.zeros((len(answers[0]), classes))
    rows = np.arange(len(votes))
    for answer in answers:
        votes[rows, answer.astype(np.int64)] += 1
    return np.asarray(votes.argmax(axis=1), dtype=np.float64)
