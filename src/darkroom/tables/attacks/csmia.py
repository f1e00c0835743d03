"""Attribute inference from which candidate the model is right, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.tables.attacks.base import Posterior, TableAttack, normalized
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.schema import Rows
from darkroom.tables.targets.view import TableView

_CASE = 1e3


@dataclass(frozen=True)
class CsmiaAttack(TableAttack):
    """The confidence-score-based model inversion attribute inference of Mehnaz et al. 2022.

    The model is asked with each candidate. Where its prediction is the true response for one
    candidate alone, that is the guess (case 1). Where it is for several, the guess is the one of
    them with the highest confidence (case 2). Where it is for none, the guess is the one with the
    lowest confidence in its wrong prediction (case 3).

    Mehnaz, Dibbo, Kabir, Li & Bertino 2022, "Are Your Sensitive Attributes Private? Novel Model
    Inversion Attribute Inference Attacks on Classification Models", USENIX Security, section 4.
    Differences from it:

    - the paper's adversary may not know the marginals; here the prior breaks ties and does nothing
      else (an unpruned tree is always sure, so there are ties);
    - a weight is kept for every candidate, so that guesses can be ranked: the confidence of
      matching candidates, one less the confidence of the others. It is no calibrated probability;
    - with unknown columns (the paper's section 6.6) weights are averaged over the prior's draws.

    Attributes:
        draws: Values of unknown columns that are averaged over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "csmia"
    access: ClassVar[Access] = Access.SCORES
    paper: ClassVar[str] = "Mehnaz et al. 2022 (USENIX Security), CSMIA"
    classifiers_only: ClassVar[bool] = True
    calibrated: ClassVar[bool] = False

    draws: int = 64
    memory: int = 1 << 26

    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,  # noqa: ARG002 - this attack knows of no errors
    ) -> NDArray[np.float64]:
        scores = view.scores(rows, goals)
        right = scores.argmax(axis=1) == response
        confidence = scores.max(axis=1)
        # Matching candidates outweigh all others; among each kind the confidence decides.
        weights = np.where(right, _CASE * (1 + confidence), 1 + 1e-9 - confidence)
        return np.asarray(np.log(weights))

    def _found(self, before: Posterior, likelihood: NDArray[np.float64]) -> Posterior:
        """Takes the weights as they are; the prior only breaks ties."""
        with np.errstate(divide="ignore"):
            tie_break = 1e-9 * np.log(before.clip(1e-300, None))
        return normalized(likelihood + tie_break, before)
