"""Reading one row of an answer after another, whatever form the rows have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.wire.answers import TOLERANCE, AnswerError, ClassNames, TopK
from darkroom.wire.base import Decoded, Shows, kind_of, listed

_NUMBERS = {float, int}


def decode_rows(values: object, rows: int, shows: Shows) -> Decoded:
    """Reads a list with an entry for each row.

    Scores are a list of numbers in the order of the classes; or, with the classes known, an object
    ``{label: score}`` or a list of objects with ``label`` and ``score``. The best ``k`` come in one
    of the last two forms. A label is a number, a name, or a list of one of them.

    Raises:
        AnswerError: If there are more or fewer entries than rows, or one has another form, a class
            unknown or twice, or other than all classes or ``k`` of them.
    """
    entries = listed(values, rows, "the answer")
    names = shows.names
    if shows.access is Access.LABEL:
        assert names is not None
        return labels(entries, names)
    if shows.access is Access.TOP_K:
        assert names is not None
        assert shows.k is not None
        return best_k([_pairs(entry, names) for entry in entries], shows.k)
    if names is None or (isinstance(entries[0], list) and _holds_numbers(entries[0])):
        return matrix(entries, None if names is None else names.count)
    return _scattered([_pairs(entry, names) for entry in entries], names.count)


def matrix(entries: list[Any], columns: int | None) -> NDArray[np.float64]:
    """Turns lists of numbers, all of one length, into a table.

    Args:
        entries: One list a row.
        columns: How long they must be; as long as the first when ``None``.

    Raises:
        AnswerError: If one is no list, has another length, or holds anything but numbers.
    """
    if columns is None:
        columns = len(entries[0]) if entries and isinstance(entries[0], list) else 0
    for entry in entries:
        if not _holds_numbers(listed(entry, columns, "a row of the answer")):
            raise AnswerError("a row of the answer holds something else than numbers")
    return np.array(entries, np.float64).reshape(len(entries), columns)


def numbers(values: list[Any]) -> NDArray[np.float64]:
    """Turns a list of numbers into an array.

    Raises:
        AnswerError: If it holds anything else.
    """
    if not _holds_numbers(values):
        raise AnswerError("its data holds something else than numbers")
    return np.array(values, np.float64)


def _holds_numbers(values: list[Any]) -> bool:
    # The set of types is taken at the speed of C; a test of each value would not be.
    return set(map(type, values)) <= _NUMBERS


def labels(entries: list[Any], names: ClassNames) -> NDArray[np.int64]:
    """Turns one name or number a row into positions.

    Raises:
        AnswerError: If one is no class.
    """
    alone = [
        entry[0] if isinstance(entry, list) and len(entry) == 1 else entry for entry in entries
    ]
    return np.array([names.position(entry) for entry in alone], np.int64)


def _pairs(entry: object, names: ClassNames) -> list[tuple[int, float]]:
    """Returns the classes that a row names and their scores.

    Raises:
        AnswerError: If it is neither an object of scores nor a list of objects with them.
    """
    if isinstance(entry, dict):
        items = list(entry.items())
    elif isinstance(entry, list) and all(
        isinstance(one, dict) and {"label", "score"} <= one.keys() for one in entry
    ):
        items = [(one["label"], one["score"]) for one in entry]
    else:
        raise AnswerError(
            "a row of the answer should be a list of numbers, an object of scores, or a list of "
            f"objects with label and score, not {kind_of(entry)} of something else"
        )
    if not _holds_numbers([score for _, score in items]):
        raise AnswerError("a score is no number")
    return [(names.position(label), float(score)) for label, score in items]


def _scattered(pairs: list[list[tuple[int, float]]], classes: int) -> NDArray[np.float64]:
    """Puts the scores of each row where their classes are."""
    for row in pairs:
        named = {position for position, _ in row}
        if not len(named) == len(row) == classes:
            raise AnswerError(
                f"a row names {len(named)} classes in {len(row)} entries, not each of {classes} "
                'once: if the server tells the best alone, set [target] answers = "top_k"'
            )
    table = np.array(pairs, np.float64).reshape(len(pairs), classes, 2)
    scores = np.empty((len(pairs), classes))
    np.put_along_axis(scores, table[:, :, 0].astype(np.int64), table[:, :, 1], axis=1)
    return scores


def best_k(pairs: list[list[tuple[int, float]]], k: int) -> TopK:
    """Sorts the best of each row, the best first and among equals the lower class.

    Raises:
        AnswerError: If a row does not name ``k`` different classes, or its scores cannot be part
            of probabilities.
    """
    for row in pairs:
        if not len(row) == len({position for position, _ in row}) == k:
            raise AnswerError(f"a row names {len(row)} classes, not {k} different ones")
    table = np.array(pairs, np.float64).reshape(len(pairs), k, 2)
    classes, scores = table[:, :, 0].astype(np.int64), table[:, :, 1]
    if not np.isfinite(scores).all():
        raise AnswerError("it holds NaN or infinite values")
    if (scores < 0).any():
        raise AnswerError(f"its probabilities are negative (the least is {scores.min():.3g})")
    largest = scores.sum(axis=1).max(initial=0)
    if largest > 1 + TOLERANCE:
        raise AnswerError(f"its rows are no probabilities: one sums to {largest:.4g}")
    order = np.lexsort((classes, -scores), axis=1)
    return TopK(
        np.take_along_axis(classes, order, axis=1), np.take_along_axis(scores, order, axis=1)
    )
