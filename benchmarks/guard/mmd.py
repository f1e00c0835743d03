"""A peer of the detector: maximum mean discrepancy over windows of query embeddings.

After Liu, Guo and Dong, "An Embarrassingly Simple Detector for Model Extraction Attacks in Large
Language Model API Traffic", arXiv 2606.05725 (2026), and their program. A window of queries is
suspicious where the unbiased squared MMD between its embeddings and as many of honest traffic, the
mean over twenty draws, is above the 95th percentile of that between two disjoint windows of honest
traffic, a thousand of them. The kernel is the mean of four Gaussians, 0.5, 1, 2 and 4 times as wide
as the median distance of honest embeddings. They embed text in windows of 1,500 queries.

Differences:

- Inputs are images. Embeddings are their coordinates on the principal components of the detector's
  own space, at unit length as theirs are, in the place of a sentence encoder's.
- Windows have as many rows as our recorded attacks, 60: no attack here sends 1,500 rows soon.
- Beside windows drawn at random from held-out honest rows, as theirs, there are windows of
  neighbours in time, which is how a guard meets them. These are not exchangeable with random ones:
  a door sends four frames of one face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

from benchmarks.claims import Table
from benchmarks.guard.traffic import Asked
from darkroom.guard.detector.detector import Batch, Detector
from darkroom.guard.detector.features import Space

Floats = NDArray[np.float64]

WIDTHS = (0.5, 1.0, 2.0, 4.0)
REPEATS, NULLS, PERCENTILE = 20, 1000, 95.0
SAMPLE = 2000
"""Honest embeddings that the median distance is taken of."""

FRACTIONS = (0.05, 0.1, 0.25, 0.5)
"""Of a window's rows, those of an attacker, as in the paper."""

WINDOWS = 50
"""Of each kind, as in the paper's program."""


class WindowTest:
    """Tells whether a window of inputs is of honest traffic."""

    def __init__(self, space: Space, honest: NDArray[np.floating], window: int, seed: int) -> None:
        """Calibrates it on honest traffic alone.

        Args:
            space: Embeds inputs.
            honest: Inputs of honest traffic, ``(rows, features)``, at least two windows of them.
            window: Rows of a window.
            seed: Decides every draw.
        """
        self._space, self._rng = space, np.random.default_rng(seed)
        self._pool = self._embedded(honest)
        sample = self._pool[self._rng.permutation(len(self._pool))[:SAMPLE]]
        self._widths = np.median(pdist(sample)) * np.array(WIDTHS)
        self._window = window
        nulls = []
        for _ in range(NULLS):
            both = self._pool[self._rng.choice(len(self._pool), 2 * window, replace=False)]
            nulls.append(self._discrepancy(both[:window], both[window:]))
        self.limit = float(np.percentile(nulls, PERCENTILE))

    def score(self, inputs: NDArray[np.floating]) -> float:
        """Returns how far a window is from honest traffic; over :attr:`limit` is suspicious."""
        window = self._embedded(inputs)
        drawn = [self._rng.choice(len(self._pool), len(window)) for _ in range(REPEATS)]
        return float(np.mean([self._discrepancy(self._pool[one], window) for one in drawn]))

    def _embedded(self, inputs: NDArray[np.floating]) -> Floats:
        places = self._space.sketch(inputs).places.astype(np.float64)
        return np.asarray(places / np.linalg.norm(places, axis=1, keepdims=True).clip(1e-12))

    def _discrepancy(self, one: Floats, other: Floats) -> float:
        """Returns the unbiased estimate of the squared MMD (Gretton et al. 2012, equation 3)."""
        n, m = len(one), len(other)
        within = self._kernel(one, one).sum() - n, self._kernel(other, other).sum() - m
        across = self._kernel(one, other).mean()
        return float(within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * across)

    def _kernel(self, one: Floats, other: Floats) -> Floats:
        squares = cdist(one, other, "sqeuclidean")
        return np.asarray(np.mean([np.exp(-squares / (2 * w * w)) for w in self._widths], axis=0))


def beside_table(
    detector: Detector,
    fitted: Sequence[Batch],
    honest: Sequence[Batch],
    attacked: dict[str, list[Asked]],
    seed: int,
) -> Table:
    """Compares both on the same windows.

    Args:
        detector: Ours, fitted.
        fitted: Honest traffic that it was fitted on, on which the peer is calibrated.
        honest: Other honest traffic, in its order.
        attacked: Runs of each attack, a window each.
        seed: Decides every draw.
    """
    assert detector.space is not None
    window = min(len(one.scores) for many in attacked.values() for one in many)
    rng = np.random.default_rng([seed, 21])
    test = WindowTest(detector.space, _joined(fitted).inputs, window, seed)
    pool = _joined(honest)
    kinds = {
        "honest, drawn at random": [_drawn(pool, window, rng) for _ in range(WINDOWS)],
        "honest, all clients, in order": _in_order(pool, window),
        "honest, one client, in order": [
            one for client in _clients(honest) for one in _in_order(client, window)
        ],
    }
    kinds |= {f"{name} alone": many for name, many in attacked.items()}
    every = [one for many in attacked.values() for one in many]
    for fraction in FRACTIONS:
        rows = max(1, round(window * fraction))
        kinds[f"any attack, {fraction:.0%} of the rows"] = [
            _mixed(pool, every[int(rng.integers(len(every)))], rows, window, rng)
            for _ in range(WINDOWS)
        ]
    table = [
        [
            name,
            len(windows),
            float(np.mean([test.score(one.inputs) > test.limit for one in windows])),
            float(np.mean([_alarms(detector, one) for one in windows])),
        ]
        for name, windows in kinds.items()
        if windows
    ]
    title = f"Detector beside MMD (arXiv 2606.05725): windows of {window} rows that are suspicious"
    return Table(title, ("window", "windows", "MMD", "detector"), table)


def _joined(batches: Sequence[Batch]) -> Asked:
    inputs = [one.inputs for one in batches if one.inputs is not None]
    scores = [one.scores for one in batches if one.scores is not None]
    return Asked(np.concatenate(inputs).astype(np.float32), np.concatenate(scores))


def _clients(batches: Sequence[Batch]) -> list[Asked]:
    names = dict.fromkeys(one.client for one in batches)
    return [_joined([one for one in batches if one.client == name]) for name in names]


def _in_order(rows: Asked, window: int) -> list[Asked]:
    starts = range(0, len(rows.scores) - window + 1, window)
    return [_taken(rows, np.arange(start, start + window)) for start in starts]


def _drawn(rows: Asked, window: int, rng: np.random.Generator) -> Asked:
    return _taken(rows, rng.choice(len(rows.scores), window, replace=False))


def _taken(rows: Asked, places: NDArray[np.int64]) -> Asked:
    return Asked(rows.inputs[places], rows.scores[places])


def _mixed(honest: Asked, attack: Asked, rows: int, window: int, rng: np.random.Generator) -> Asked:
    """Puts the first rows of an attack, in their order, among honest ones."""
    real, own = _drawn(honest, window - rows, rng), _taken(attack, np.arange(rows))
    inputs = np.concatenate([real.inputs, own.inputs])
    scores = np.concatenate([real.scores, own.scores])
    of_attack = np.zeros(window, bool)
    of_attack[rng.choice(window, rows, replace=False)] = True
    order = np.empty(window, np.int64)
    order[of_attack] = np.arange(window - rows, window)
    order[~of_attack] = np.arange(window - rows)
    return _taken(Asked(inputs, scores), order)


def _alarms(detector: Detector, rows: Asked) -> bool:
    """Tells whether our detector, with nothing remembered, alarms within a window of one client."""
    watcher = Detector(detector.space, list(detector.charts.values()))
    places = range(len(rows.scores))
    return any(watcher.watch(rows.batch("one", row, row + 1)).client >= 1 for row in places)
