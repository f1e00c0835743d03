"""White-box inversion of decision trees from the training rows counted at their leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.tables.attacks.base import TableAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.schema import Rows
from darkroom.tables.targets.view import Paths, TableView

Response = Literal["likelihood", "ignore"]

DOUBT = 1e-3
"""How probable it is that a leaf says nothing: of people the tree never saw, a pure leaf errs."""


@dataclass(frozen=True)
class TreeCountsAttack(TableAttack):
    """The white-box attack with counts of Fredrikson et al. 2015.

    Each leaf of a tree tells how many of the N training rows ended there. A candidate's weight is
    its prior probability times the share of training rows at the leaf that the record reaches with
    it, times how probable the true response is there: the leaf's own shares of the classes, drawn a
    little toward even ones, or a Gaussian around the prediction. For forests and boosted trees the
    share of rows is averaged over the trees, and the response is weighed by the whole model's
    answer.

    Fredrikson, Jha & Ristenpart 2015, "Model Inversion Attacks that Exploit Confidence Information
    and Basic Countermeasures", CCS, section 4, equation 3. Differences from it:

    - the paper's equation does not use the true response; ``response = "ignore"`` does as it
      does, and the default weighs it, which is what an attacker who knows it would do;
    - a path consistent with several values of unknown columns counts once in the paper, and here
      as often as the prior makes those values probable;
    - forests and boosted trees are not in the paper.

    Attributes:
        response: Whether the true response is weighed.
        draws: Values of unknown columns that are summed over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "tree-counts"
    access: ClassVar[Access] = Access.WEIGHTS
    paper: ClassVar[str] = "Fredrikson, Jha & Ristenpart 2015 (CCS), white-box with counts"
    trees_only: ClassVar[bool] = True

    response: Response = "likelihood"
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
        trees = view.trees
        if trees is None:
            raise PlanError(
                f"attack {self.name} is for models made of decision trees whose structure is "
                "readable: use map, or tree-confusion"
            )
        paths = view.paths(rows, goals)
        shares = np.zeros(len(rows))
        for tree, counts in enumerate(trees.counts):
            shares += counts[paths.leaves[:, tree]] / trees.totals[tree]
        with np.errstate(divide="ignore"):
            weights = np.log(shares / len(trees.counts))
        if self.response == "ignore":
            return np.asarray(weights)
        return np.asarray(weights + _log_response(paths, response, errors))


def _log_response(
    paths: Paths, response: NDArray[np.float64], errors: Errors
) -> NDArray[np.float64]:
    """Returns the logarithm of how probable the true response is at each row's leaf, ``(n,)``."""
    if paths.scores is None:
        return errors.log_likelihood(response, paths.predictions)
    shares = paths.scores[np.arange(len(response)), response.astype(int)]
    return np.asarray(np.log((1 - DOUBT) * shares + DOUBT / paths.scores.shape[1]))
