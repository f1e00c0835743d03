"""What brings templates onto others: known pairs, or nothing but how they are spread."""

from __future__ import annotations

import numpy as np

from darkroom.verifiers.protection.base import Floats


def procrustes(one: Floats, other: Floats) -> Floats:
    """Returns the orthogonal matrix that brings rows nearest to others, ``(size, size)``.

    Schönemann (1966). With fewer rows than numbers, directions that no row has are left to chance.

    Args:
        one: ``(n, size)``.
        other: ``(n, size)``.
    """
    u, _, v = np.linalg.svd(one.T @ other)
    matrix: Floats = u @ v
    return matrix


def regressed(known: Floats, targets: Floats, rows: Floats, *, ridge: float = 0.01) -> Floats:
    """Returns what rows become by the ridge regression of known pairs, ``(m, length)``.

    Args:
        known: ``(n, size)``.
        targets: What each of these becomes, ``(n, length)``.
        rows: Others like the known, ``(m, size)``.
        ridge: In units of the known rows' squares: less where there are many of them.
    """
    squares = known.T @ known
    squares += ridge * np.trace(squares) * np.eye(known.shape[1])
    guessed: Floats = rows @ np.linalg.solve(squares, known.T @ targets)
    return guessed


def laid_over(candidates: Floats, leaked: Floats) -> Floats:
    """Turns the principal axes of some rows into those of others, in their order.

    That says nothing of the axes' signs.

    Args:
        candidates: What is turned, ``(n, size)``.
        leaked: What it is laid over, ``(m, size)``.

    Returns:
        ``(n, size)``.
    """
    axes = np.linalg.svd(candidates - candidates.mean(axis=0), full_matrices=False)[2]
    theirs = np.linalg.svd(leaked - leaked.mean(axis=0), full_matrices=False)[2]
    count = min(len(axes), len(theirs))
    away = (candidates - candidates.mean(axis=0)) @ axes[:count].T
    guessed: Floats = away @ theirs[:count] + leaked.mean(axis=0)
    return guessed
