"""Templates that stand among those of one person, and are unlike them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.verifiers.targets.base import Floats
from darkroom.verifiers.targets.metrics import unit

_SHARE = 0.95
"""Of pairs of strangers, below whose likeness two templates are not of one person."""

_MOST = 600  # templates whose pairs are looked at


def unlike(templates: Floats, known: Floats, *, turned: bool = False) -> NDArray[np.bool_]:
    """Tells which templates are unlike the others of their person: somebody else's, perhaps.

    Two are alike where the angle between them, seen from the mean of public templates, is smaller
    than that of 95 in 100 pairs of public ones; templates that were turned are seen from the
    origin. Of n, a template must be like n // 2 others. Where a person has two that are not alike,
    both are named, since nothing says which is wrong.

    Args:
        templates: ``(templates, people, size)``.
        known: Of public photos, ``(n, size)``.
        turned: Whether a secret rotation has moved that mean nobody knows whereto.

    Returns:
        Bool ``(templates, people)``; none where nothing is known, or there is one of each.
    """
    count, people = templates.shape[:2]
    if count < 2 or len(known) < 3:
        return np.zeros((count, people), np.bool_)
    middle = known.mean(axis=0) * (not turned)
    others = unit(known[:_MOST] - middle)
    pairs = (others @ others.T)[np.triu_indices(len(others), 1)]
    rows = unit((templates - middle).reshape(count * people, -1)).reshape(templates.shape)
    alike = np.einsum("ips,jps->ipj", rows, rows)
    alike[np.arange(count), :, np.arange(count)] = -np.inf
    enough = np.sort(alike, axis=2)[:, :, -(count // 2)]
    found: NDArray[np.bool_] = enough < np.quantile(pairs, _SHARE)
    return found


def trusted(templates: Floats, known: Floats, *, turned: bool = False) -> NDArray[np.bool_]:
    """Tells which templates count, ``(templates, people)``: all of a person who has none alike.

    Arguments are those of :func:`unlike`.
    """
    odd = unlike(templates, known, turned=turned)
    kept: NDArray[np.bool_] = ~odd | odd.all(axis=0)
    return kept


def mean_of(templates: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Returns the mean of everybody's templates that count, ``(people, size)``.

    Args:
        templates: ``(templates, people, size)``.
        kept: Which count, ``(templates, people)``; one of each at least.
    """
    mean: Floats = (templates * kept[:, :, None]).sum(axis=0) / kept.sum(axis=0)[:, None]
    return mean
