"""Evolution strategies of the ``cma`` library, made reproducible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import MissingExtraError


def separable_strategy(
    start: NDArray[np.float64],
    population: int,
    deviations: NDArray[np.float64],
    rng: np.random.Generator,
) -> Any:
    """Makes a separable CMA-ES of the library that draws from ``rng`` alone and prints nothing.

    Args:
        start: Where it begins, ``(dimensions,)``.
        population: Candidates a generation.
        deviations: Of the first generation along each coordinate, ``(dimensions,)``.
        rng: The only source of randomness.

    Raises:
        MissingExtraError: If the library is not installed.
    """
    try:
        import cma
    except ImportError as error:
        raise MissingExtraError("cma", "vision") from error
    options = {
        "popsize": population,
        "CMA_diagonal": True,
        "CMA_stds": deviations,
        "randn": lambda count, dimensions: rng.standard_normal((count, dimensions)),
        "seed": np.nan,
        "verbose": -9,
        "verb_log": 0,
    }
    return cma.CMAEvolutionStrategy(start, 1.0, options)
