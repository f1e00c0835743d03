"""Templates behind protected ones, as far as an attacker can tell them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from darkroom.verifiers.protection.alignment import laid_over, procrustes, regressed
from darkroom.verifiers.protection.outliers import mean_of, trusted
from darkroom.verifiers.targets.base import Floats
from darkroom.verifiers.targets.embedding import LeakedRows, ProtectedStore, joint
from darkroom.verifiers.targets.metrics import unit

_DRAWN = 4000
"""Templates that are drawn where the keys are known: they cost no query."""

_RIDGE, _CLEAR = 1e-5, 0.02


def recovered(leaks: Sequence[LeakedRows], known: Floats, rng: np.random.Generator) -> Floats:
    """Returns templates before they were protected, as near as an attacker comes.

    Several templates of a person are taken together. Where they stay comparable as they are
    stored, their mean is traced back; where each is traced back alone, the mean of what comes out
    is taken. Stores of one template under several keys are solved together: what leads back is
    learned from all its protected forms at once, so that each store adds equations. A template that
    is unlike the others of its person is left out first (:func:`.trusted`).

    Args:
        leaks: What is stored of each goal, one for each template of a goal.
        known: Templates of public photos, ``(n, size)``, of length one where angles count.
        rng: Draws templates like these.

    Returns:
        ``(goals, size)``.
    """
    first = leaks[0]
    if len(leaks) == 1:
        return _alone(first.rows, first.store, known, rng)
    store = first.store
    one_store = all(one.store is store for one in leaks)
    if one_store and (store is None or store.keeps):
        stored = np.stack([one.rows for one in leaks])
        # Angles are what they were, so that those of public templates say who is unlike whom.
        mean = mean_of(stored, _comparable(stored, store, known))
        return _alone(mean, store, known, rng)
    if store is not None and store.protect is None and (store.own_keys or not store.pairs):
        # Nothing leads back, or nothing but axes without signs: other stores say no more.
        return _alone(first.rows, store, known, rng)
    if one_store or store is None or store.keeps:
        found = np.stack([_alone(one.rows, one.store, known, rng) for one in leaks])
        return mean_of(found, trusted(found, known))
    return _together(leaks, known, rng)


def _comparable(stored: Floats, store: ProtectedStore | None, known: Floats) -> NDArray[np.bool_]:
    """Tells which templates count that are compared as they are stored."""
    if stored.shape[2] != known.shape[1]:
        return np.ones(stored.shape[:2], np.bool_)
    return trusted(stored, known, turned=store is not None)


def _together(leaks: Sequence[LeakedRows], known: Floats, rng: np.random.Generator) -> Floats:
    """Solves several stores of the same templates at once, each goal by those that fit."""
    rows = _joined(leaks, known, rng)
    kept = _fitting(leaks, rows)
    for pattern in np.unique(kept, axis=1).T:
        if not pattern.all():
            goals = (kept == pattern[:, None]).all(axis=0)
            chosen = [leak for leak, fits in zip(leaks, pattern, strict=True) if fits]
            rows[goals] = _joined(chosen, known, rng)[goals]
    return rows


def _joined(leaks: Sequence[LeakedRows], known: Floats, rng: np.random.Generator) -> Floats:
    side_by_side = np.concatenate([one.rows for one in leaks], axis=1)
    return _alone(side_by_side, joint([one.store for one in leaks]), known, rng)


def _fitting(leaks: Sequence[LeakedRows], rows: Floats) -> NDArray[np.bool_]:
    """Tells which stores fit what was solved, ``(leaks, goals)``; all where keys are not known.

    One of three or more does not where what was solved is less than half as like its own there as
    in the median store.
    """
    alike = np.ones((len(leaks), len(rows)))
    for place, leak in enumerate(leaks):
        protect = None if leak.store is None else leak.store.protect
        if protect is not None:
            made = np.concatenate([protect(row[None], goal) for goal, row in enumerate(rows)])
            alike[place] = (unit(made) * unit(leak.rows)).sum(axis=1)
    if len(leaks) < 3:
        return np.ones(alike.shape, np.bool_)
    fits: NDArray[np.bool_] = alike >= np.median(alike, axis=0) / 2
    return fits


def _alone(
    leaked: Floats,
    store: ProtectedStore | None,
    known: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Traces back one stored template of each goal.

    Who is not told of a protection takes what is stored for templates, cut or filled up with zeros
    to their length. Who knows the keys protects as many made-up templates as are wanted, learns by
    ridge regression what leads back, and sees by protecting it how near that comes. Who knows none,
    and has accounts of their own in the store, learns it from these (by Procrustes where distances
    are kept; Schönemann 1966). Who has none lays the principal axes of the store over those of
    public templates where distances are kept, and else has nothing but the average.

    Args:
        leaked: What is stored of each goal, ``(goals, length)``.
        store: What is known of how; ``None`` for nothing.
        known: Templates of public photos, ``(n, size)``, of length one where angles count.
        rng: Draws templates like these.

    Returns:
        ``(goals, size)``.
    """
    size = known.shape[1]
    if store is None:
        rows = leaked[:, :size]
        filled: Floats = np.pad(rows, ((0, 0), (0, size - rows.shape[1])))
        return filled
    if not len(known):
        return np.zeros((len(leaked), size))
    if store.protect is not None:
        return _by_key(store, store.protect, known, leaked, rng)
    pairs = known[: store.pairs]
    if len(pairs) and not store.own_keys:
        told = store.accounts(pairs)
        if store.keeps:
            turned: Floats = leaked @ procrustes(told, pairs)
            return turned
        return regressed(told, pairs, leaked)
    if store.keeps and len(leaked) > 1:
        return laid_over(leaked, known)
    return np.repeat(known.mean(axis=0)[None], len(leaked), axis=0)


def _by_key(
    store: ProtectedStore,
    protect: Callable[[Floats, int], Floats],
    known: Floats,
    leaked: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Traces back with the keys: of two ways, what comes nearer to what is stored."""
    kinds = [_like(known, rng), _anywhere(known, rng)]
    if not store.own_keys:
        found = [_undone(protect(one, 0), one, leaked, exact=store.keeps) for one in kinds]
        return _nearest([(one, protect(one, 0)) for one in found], leaked)
    rows = []
    for goal in range(len(leaked)):
        own = leaked[goal : goal + 1]
        found = [_undone(protect(one, goal), one, own, exact=False) for one in kinds]
        rows.append(_nearest([(one, protect(one, goal)) for one in found], own))
    return np.concatenate(rows)


def _nearest(found: Sequence[tuple[Floats, Floats]], leaked: Floats) -> Floats:
    """Returns of each row the second way where its protected form is clearly more like the stored.

    Many templates may have nearly one protected form, and what is like others is likelier.
    """
    alike = [(unit(made) * unit(leaked)).sum(axis=1) for _, made in found]
    rows: Floats = np.where((alike[1] > alike[0] + _CLEAR)[:, None], found[1][0], found[0][0])
    return rows


def _undone(made: Floats, known: Floats, leaked: Floats, *, exact: bool) -> Floats:
    if exact:
        turned: Floats = leaked @ procrustes(made, known)
        return turned
    scale = made.std(axis=0) + 1e-9  # polynomials of small numbers differ widely in size
    return regressed(made / scale, known, leaked / scale, ridge=_RIDGE)


def _like(known: Floats, rng: np.random.Generator) -> Floats:
    """Draws templates with the mean and the spread of some, and their length where all have one."""
    if len(known) < 2:
        return known
    spread = np.linalg.cholesky(np.cov(known.T) + 1e-6 * known.var() * np.eye(known.shape[1]))
    drawn = known.mean(axis=0) + rng.standard_normal((_DRAWN, known.shape[1])) @ spread.T
    return np.concatenate([known, _as_long(drawn, known)])


def _anywhere(known: Floats, rng: np.random.Generator) -> Floats:
    """Draws templates that lie in all directions alike, for people who are like no other."""
    drawn = rng.standard_normal((_DRAWN, known.shape[1])) * np.sqrt((known**2).mean())
    return _as_long(drawn, known)


def _as_long(drawn: Floats, known: Floats) -> Floats:
    length = np.linalg.norm(known, axis=1)
    if not np.allclose(length, length[0]):
        return drawn
    scaled: Floats = drawn * length[0] / np.linalg.norm(drawn, axis=1, keepdims=True)
    return scaled
