"""Black-box inversion of decision trees from their predictions and their confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from darkroom.tables.attacks.map import MapAttack


@dataclass(frozen=True)
class TreeConfusionAttack(MapAttack):
    """The black-box attack of Fredrikson et al. 2015 on decision trees.

    The attacker knows the confusion matrix C of the tree and the marginals, and asks the tree with
    each candidate. A candidate's weight is its prior probability times
    ``C[true response, prediction] / sum over responses C[., prediction]``. Nothing in it needs the
    model to be a tree: any classifier will do.

    Fredrikson, Jha & Ristenpart 2015, "Model Inversion Attacks that Exploit Confidence Information
    and Basic Countermeasures", CCS, section 4. Differences from it:

    - in the paper the service (BigML) publishes the confusion matrix; here the audit measures it,
      on the training rows unless told otherwise, where an unpruned tree hardly errs;
    - candidates that the matrix calls impossible all around leave the prior's guess.

    Attributes:
        repeats: How often the same is asked where noise is fresh, as far as the budget goes.
        draws: Values of unknown columns that are summed over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "tree-confusion"
    paper: ClassVar[str] = "Fredrikson, Jha & Ristenpart 2015 (CCS), black-box"
    classifiers_only: ClassVar[bool] = True
