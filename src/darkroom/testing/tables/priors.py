"""Checks of priors of tables."""

from __future__ import annotations

import numpy as np

from darkroom.errors import DataError
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.build import TablePriorConfiguration
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.schema import Rows
from darkroom.testing.promises import (
    check_part,
    global_randomness_untouched,
    require,
    same,
)
from darkroom.testing.tables.small import small_rows, small_schema


def weighs_each_row_alone(prior: TablePrior) -> None:
    """Probabilities sum to one in every row, and do not hang on the other rows."""
    known, name = _known(prior), prior.name
    found = prior.probabilities(known)
    shape = (len(known), len(prior.candidates))
    require(found.shape == shape, f"prior {name} answers {found.shape}, not {shape}")
    fair = (found >= 0).all() and np.allclose(found.sum(axis=1), 1)
    require(fair, f"prior {name} answers no probabilities")
    alone = np.concatenate([prior.probabilities(known[row : row + 1]) for row in range(9)])
    require(np.allclose(alone, found[:9]), f"prior {name}: a row's answer hangs on the others")


def looks_at_nothing_hidden(prior: TablePrior) -> None:
    """What the attacker does not know makes no difference."""
    rows = small_rows(40, seed=3)
    peeked = same(prior.probabilities(rows), prior.probabilities(_known(prior)))
    require(peeked, f"prior {prior.name} looks at what the attacker does not know")


def fills_in_unknown_columns(prior: TablePrior) -> None:
    """Draws of unknown columns have weights that sum to one, and follow the source."""
    known, name = _known(prior), prior.name
    with global_randomness_untouched(f"prior {name}"):
        one, again = (prior.unknown(known, 4, np.random.default_rng(1)) for _ in range(2))
    require(same(one, again), f"prior {name} draws otherwise from the same source")
    draws = len(one.weights)
    shape = (draws, len(known), len(one.positions))
    require(one.values.shape == shape, f"prior {name} draws values {one.values.shape}, not {shape}")
    require(np.allclose(one.weights.sum(axis=0), 1), f"prior {name}: weights do not sum to one")
    filled = len(one.positions) == 0 or np.isfinite(one.values).all()
    require(filled, f"prior {name} leaves unknown columns unknown")


def _known(prior: TablePrior) -> Rows:
    known = small_rows(40, seed=3)
    known[:, prior.candidates.schema.hidden] = np.nan
    return known


PROMISES = (weighs_each_row_alone, looks_at_nothing_hidden, fills_in_unknown_columns)
"""What every prior of tables owes once it is made."""


def check_prior(prior: TablePriorConfiguration) -> None:
    """Checks a prior, made from a small table with columns ``a``, ``b`` and ``secret``.

    Args:
        prior: As a plan asks for it.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(prior)
    unknown: tuple[str, ...]
    for unknown in ((), ("b",)):
        candidates = Candidates.of(small_schema(unknown=unknown))
        try:
            with global_randomness_untouched(f"prior {prior.name}"):
                made = prior.build(candidates, small_rows(300, seed=2), 0)
        except DataError:
            require(unknown, f"prior {prior.name} cannot be made from a small table")
            continue  # it may have no statistics of unknown columns
        require(made.name == prior.name, f"prior {prior.name} is called {made.name} when made")
        for promise in PROMISES:
            promise(made)
