"""Attribute inference from labels alone, by learning from the records that give themselves away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.tables.attacks.base import Posterior, Records, TableAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.priors.imputation import Imputer, Model
from darkroom.tables.schema import Rows
from darkroom.tables.targets.view import TableView


@dataclass(frozen=True)
class LomiaAttack(TableAttack):
    """The label-only model inversion attribute inference of Mehnaz et al. 2022.

    The model is asked with each candidate. Records for which its label is the true response with
    one candidate alone (case 1) are taken to have that value; a classifier of the sensitive value
    learns from them (known columns and response), and guesses for all other records.

    Mehnaz, Dibbo, Kabir, Li & Bertino 2022, "Are Your Sensitive Attributes Private? Novel Model
    Inversion Attribute Inference Attacks on Classification Models", USENIX Security, section 5
    (LOMIA with case 1). Differences from it:

    - the paper trains an ensemble with H2O's automatic search; here cross-validation picks a
      logistic regression, a random forest or plain frequencies (``model``);
    - with fewer than ``least`` records of case 1, or a single value among them, the prior guesses
      for the others;
    - with unknown columns a candidate counts as matching when it does under most of the prior's
      draws.

    Attributes:
        model: The classifier that learns from case 1.
        least: Records of case 1 from which learning is worth it.
        draws: Values of unknown columns that are asked, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "lomia"
    access: ClassVar[Access] = Access.LABEL
    paper: ClassVar[str] = "Mehnaz et al. 2022 (USENIX Security), LOMIA"
    classifiers_only: ClassVar[bool] = True
    calibrated: ClassVar[bool] = False

    model: Model = "auto"
    least: int = 20
    draws: int = 16
    memory: int = 1 << 26

    def conclude(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,  # noqa: ARG002 - this attack knows of no errors
        found: Posterior,
        *,
        rng: np.random.Generator,
    ) -> Posterior:
        """Learns from what was found in all records, and guesses; see the base."""
        alone = np.where(found.sum(axis=1) == 1, found.argmax(axis=1), -1)
        imputer = self._learn(prior, records, alone, int(rng.integers(2**31)))
        guesses = np.empty_like(found)
        for part in self._parts(view, prior, records):
            known = records.known[part]
            guesses[part] = (
                prior.probabilities(known)
                if imputer is None
                else imputer.probabilities(known, records.response[part])
            )
        settled = alone >= 0
        guesses[settled] = np.eye(len(prior.candidates))[alone[settled]]
        return guesses

    def _learn(
        self, prior: TablePrior, records: Records, alone: NDArray[np.int64], seed: int
    ) -> Imputer | None:
        """Trains on the records of case 1, or returns ``None`` where they are too few."""
        chosen = alone >= 0
        if chosen.sum() < self.least or len(np.unique(alone[chosen])) < 2:
            return None
        rows = records.known[chosen].copy()
        rows[:, prior.candidates.positions] = prior.candidates.values[alone[chosen]]
        return Imputer(
            prior.candidates,
            rows,
            response=records.response[chosen],
            model=self.model,
            seed=seed,
        )

    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,  # noqa: ARG002 - this attack knows of no errors
    ) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(view.predict(rows, goals) == response))

    def _found(
        self,
        before: Posterior,  # noqa: ARG002 - only what the model says counts
        likelihood: NDArray[np.float64],
    ) -> Posterior:
        """Marks matching candidates with ones: no posterior yet."""
        return (np.exp(likelihood) > 0.5).astype(np.float64)
