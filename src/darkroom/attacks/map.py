"""Maximum a posteriori: the sensitive value that best explains what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.attacks.table_base import Errors, TableAttack
from darkroom.targets.schema import Rows
from darkroom.targets.table_view import TableView


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
    - the paper's error model is that of the published algorithm; here it is measured on whichever
      rows the audit says (training rows unless told otherwise).

    Attributes:
        draws: Values of unknown columns that are summed over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "map"
    access: ClassVar[Access] = Access.LABEL
    paper: ClassVar[str] = "Fredrikson et al. 2014 (USENIX Security)"

    draws: int = 64
    memory: int = 1 << 26

    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,
    ) -> NDArray[np.float64]:
        return errors.log_likelihood(response, view.predict(rows, goals))
