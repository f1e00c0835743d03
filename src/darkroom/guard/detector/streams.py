"""What a detector remembers of a stream of rows, and what is odd about the next ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEATURES = ("outside", "inside", "confidence", "step", "share", "climb")
"""What is looked at in each row.

``outside`` and ``inside``: distance to real traffic (``features.Sketch``); ``confidence``:
log-odds of the winning class; ``step``: logarithm of the distance to the nearest of the stream's
last inputs; ``share``: how many of the last rows ended in the same class; ``climb``: correlation of
confidence with time over the last rows.
"""

TAILS = {"outside": "both", "inside": "both", "confidence": "low", "step": "low"}
"""Which end of a feature is odd; the high one where nothing is said."""

WINDOW = 32
"""Rows that are remembered of a stream."""

LEAST = 4
"""Rows that must be remembered before anything is made of them."""

CHARTS = (*FEATURES, "all")
"""What oddness is gathered of: each feature, and the mean of all."""

_AT_ONCE = 256


class Rows(NamedTuple):
    """Rows in the order in which they came.

    Attributes:
        places: See :class:`.Sketch`, NaN where inputs are no
            numbers, float32 ``(rows, components)``.
        outside: Likewise, ``(rows,)``.
        inside: Likewise.
        confidence: Log-odds of the winning class, NaN where there are no scores, ``(rows,)``.
        winners: The winning class, -1 where it is not known, int64 ``(rows,)``.
    """

    places: NDArray[np.float32]
    outside: Floats
    inside: Floats
    confidence: Floats
    winners: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64] | slice) -> Rows:
        """Returns some of them."""
        return Rows(
            self.places[rows],
            self.outside[rows],
            self.inside[rows],
            self.confidence[rows],
            self.winners[rows],
        )


class Stream:
    """The last rows of a client, of a class, or of everyone; its memory never grows.

    Attributes:
        levels: How much oddness has gathered in each of :data:`CHARTS`.
        alarmed: Which of them have been over their limits and not yet fallen to half of those.
    """

    __slots__ = ("_confidence", "_places", "_winners", "alarmed", "levels")

    def __init__(self, components: int) -> None:
        """Remembers nothing yet."""
        self._places = np.full((WINDOW, components), np.nan, np.float32)
        self._confidence = np.full(WINDOW, np.nan)
        self._winners = np.full(WINDOW, -2, np.int64)
        self.levels = np.zeros(len(CHARTS))
        self.alarmed = np.zeros(len(CHARTS), bool)

    def features(self, rows: Rows) -> Floats:
        """Returns the features of the next rows, ``(rows, features)``, and remembers them.

        NaN stands where a feature cannot be told, such as a step of a first row. Rows one by one
        give what all together give.
        """
        parts = [
            self._some(rows.take(slice(start, start + _AT_ONCE)))
            for start in range(0, len(rows.winners), _AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(FEATURES)))

    def _some(self, rows: Rows) -> Floats:
        count = len(rows.winners)
        places = np.concatenate([self._places, rows.places])
        confidence = np.concatenate([self._confidence, rows.confidence])
        winners = np.concatenate([self._winners, rows.winners])
        self._places, self._confidence = places[count:].copy(), confidence[count:].copy()
        self._winners = winners[count:].copy()
        before = _Before(_squares(places, rows.places), _windows(winners[:-1]))
        return _features(rows, before, _windows(confidence[1:]))


def features_of_one(streams: Sequence[Stream], row: Rows) -> Floats:
    """Returns the features of one row in each of several streams, which remember it.

    What :meth:`Stream.features` returns of each, for all at once: of a single row, as most requests
    have, NumPy's own time to begin is nearly all there is.

    Args:
        streams: Different ones.
        row: A single one.

    Returns:
        ``(streams, features)``.
    """
    places = np.stack([one._places for one in streams]).astype(np.float64)
    new = row.places[0].astype(np.float64)
    squares = np.square(places).sum(axis=2) + np.square(new).sum() - 2 * (places @ new)
    winners = np.stack([one._winners for one in streams])
    confidence = np.stack([one._confidence for one in streams])
    confidence = np.concatenate(
        [confidence[:, 1:], row.confidence.repeat(len(streams))[:, None]], 1
    )
    for one, last in zip(streams, confidence, strict=True):
        one._places = np.concatenate([one._places[1:], row.places])
        one._winners = np.concatenate([one._winners[1:], row.winners])
        one._confidence = last
    return _features(row, _Before(squares, winners), confidence)


class _Before(NamedTuple):
    """What came before each of some rows.

    Attributes:
        squares: Squared distances to the last rows, ``(rows, WINDOW)``.
        winners: Their classes, ``(rows, WINDOW)``.
    """

    squares: Floats
    winners: NDArray[np.int64]


def _features(rows: Rows, before: _Before, confidence: Floats) -> Floats:
    """Returns the features of rows; a single one may stand for all.

    Args:
        rows: The rows, or one in several streams.
        before: What came before each.
        confidence: Of each and of those before, ``(rows, WINDOW)``.
    """
    found = np.empty((len(confidence), len(FEATURES)))
    found[:, 0], found[:, 1], found[:, 2] = rows.outside, rows.inside, rows.confidence
    found[:, 3] = _steps(before.squares)
    found[:, 4] = _shares(before.winners, rows.winners)
    found[:, 5] = _climbs(confidence)
    return found


def _squares(places: NDArray[np.float32], new: NDArray[np.float32]) -> Floats:
    """Returns squared distances of new rows to those before, ``(rows, WINDOW)``."""
    # The squares of differences by the products of rows: the differences themselves would be a
    # window's worth of copies of every row.
    lengths = np.einsum("ij,ij->i", places, places, dtype=np.float64)
    products = places.astype(np.float64) @ new.T.astype(np.float64)
    squares = lengths[:, None] + lengths[None, len(places) - len(new) :] - 2 * products
    number = np.arange(len(new))
    found: Floats = sliding_window_view(squares, WINDOW, axis=0)[number, number]
    return found


def _steps(squares: Floats) -> Floats:
    """Returns the logarithm of the distance to the nearest of the rows before."""
    known = np.isfinite(squares)
    nearest = np.where(known, squares, np.inf).min(axis=1, initial=np.inf)
    told = known.sum(axis=1) >= LEAST
    return np.where(told, 0.5 * np.log(np.maximum(np.where(told, nearest, 1), 0) + 1e-6), np.nan)


def _shares(before: NDArray[np.int64], new: NDArray[np.int64]) -> Floats:
    """Returns the share of the rows before that ended in the same class."""
    known = (before >= 0).sum(axis=1)
    same = (before == new[:, None]).sum(axis=1)
    told = (known >= LEAST) & (new >= 0)
    return np.where(told, same / np.maximum(known, 1), np.nan)


def _climbs(window: Floats) -> Floats:
    """Returns Fisher's transform of the correlation with time, the row itself among the last."""
    known = np.isfinite(window)
    count = known.sum(axis=1)
    time = np.where(known, np.arange(WINDOW), 0.0)
    values = np.where(known, window, 0.0)
    size = np.maximum(count, 1)
    time = np.where(known, time - (time.sum(axis=1) / size)[:, None], 0.0)
    values = np.where(known, values - (values.sum(axis=1) / size)[:, None], 0.0)
    spread = np.sqrt(np.square(time).sum(axis=1) * np.square(values).sum(axis=1))
    correlation = (time * values).sum(axis=1) / np.maximum(spread, 1e-9)
    # Few rows correlate by chance: the transform has a deviation of one over the root of n - 3.
    score = np.arctanh(correlation.clip(-0.999, 0.999)) * np.sqrt(np.maximum(count - 3, 0))
    return np.where(count >= 2 * LEAST, score, np.nan)


def _windows(values: NDArray[Any]) -> NDArray[Any]:
    """Returns every :data:`WINDOW` values that follow one another, ``(windows, WINDOW)``."""
    return sliding_window_view(values, WINDOW)


class Streams:
    """Streams by key; beyond a number of them, the one unused for longest is forgotten."""

    def __init__(self, components: int, most: int) -> None:
        """Takes the number of components and the most streams that are kept."""
        self._make: Callable[[], Stream] = lambda: Stream(components)
        self._most = most
        self._kept: OrderedDict[Hashable, Stream] = OrderedDict()

    def of(self, key: Hashable) -> Stream:
        """Returns a key's stream, a new one if there is none."""
        stream = self._kept.get(key)
        if stream is None:
            stream = self._kept[key] = self._make()
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return stream

    def __len__(self) -> int:
        """Returns how many are kept."""
        return len(self._kept)
