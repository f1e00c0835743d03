"""Rows in requests and in answers, in whatever form JSON has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.guard.wire.base import Asked, Inputs
from darkroom.guard.wire.strict_json import Unclear, as_list, as_object, numeric
from darkroom.wire.answers import FEW, TOLERANCE, probabilities
from darkroom.wire.base import listed
from darkroom.wire.rows import matrix

Shape = tuple[int, ...] | None
Classes = tuple[str, ...] | None
Scores = NDArray[np.float64]

SINGLE = {int, float, str, bool, type(None)}
"""What a column of a table may hold."""

_LONGEST_NAME = 100
_LARGEST_LABEL = 1_000_000
_FRACTION = re.compile(r"\d\s*[.,:eE]\s*[-+]?\d|\d{9}")
"""What looks like a score and not like the name of a class."""


Reply = tuple[Scores | None, Callable[[Scores | None], list[Any]]]
"""The rows of an answer.

First probabilities ``(rows, classes)``, in the order of the declared classes, or of the names in
the answer, sorted; ``None`` when there are labels alone. Then what returns one entry a row with
other scores in their place, ``None`` for labels.
"""


def read_rows(value: object, shape: Shape, what: str) -> Asked:
    """Counts the rows of a list and takes their numbers out.

    A row is nested lists of numbers, a string, a flat list of numbers, strings, truth values and
    null, or an object whose members are those, or nested lists of numbers.

    Args:
        value: The list.
        shape: What every row of numbers must have; ``None`` for any, alike in all rows.
        what: Its place, for the message.

    Raises:
        Unclear: If it is no list, empty, ragged or mixed, or of another shape.
    """
    if type(value) is list and len(value) == 1 and shape is None and _floats(value[0]):
        return Asked(1, partial(np.array, value))  # as most are, in few steps
    entries = as_list(value, what)
    kinds = set(map(type, entries))
    if kinds == {list} and shape is None and _mixed(entries, what):
        return Asked(len(entries), None)
    if kinds == {str}:
        return Asked(len(entries), None)
    if kinds == {dict}:
        return _read_objects(entries, what)
    found = numeric(entries, what)
    if found is None:
        raise Unclear(f"{what} holds neither numbers, strings nor objects")
    if shape is not None and found.shape[1:] != tuple(shape):
        raise Unclear(f"{what}: its rows should have shape {list(shape)}")
    return Asked(found.shape[0], found.rows)


def beside(parts: Sequence[Inputs | None]) -> Inputs | None:
    """Returns what puts the numbers of parts side by side; ``None`` if one of them has none.

    Args:
        parts: For each, what makes its numbers, ``(rows, features)``, all of as many rows.
    """
    made = [one for one in parts if one is not None]
    return partial(_concatenated, made) if len(made) == len(parts) else None


def _concatenated(parts: Sequence[Inputs]) -> Scores:
    return np.concatenate([make() for make in parts], axis=1)


def _mixed(entries: list[list[Any]], what: str) -> bool:
    """Tells whether rows are flat lists of values that are not all numbers, as tables have them.

    Raises:
        Unclear: If they are, and differ in length.
    """
    kinds = {kind for entry in entries for kind in map(type, entry)}
    if kinds <= {int, float} or not kinds <= SINGLE:
        return False
    if len(set(map(len, entries))) != 1:
        raise Unclear(f"{what}: its rows differ in length")
    return True


def _floats(value: Any) -> bool:
    """Tells whether something is a list of floats alone, one at least."""
    return type(value) is list and 0 < len(value) == [*map(type, value)].count(float)


def _read_objects(entries: list[dict[str, Any]], what: str) -> Asked:
    keys = entries[0].keys()
    if not keys or any(entry.keys() != keys for entry in entries):
        raise Unclear(f"{what}: its objects should all have the same members")
    columns: list[Scores] = []
    for key in keys:
        values = [entry[key] for entry in entries]
        if any(isinstance(value, dict) for value in values):
            raise Unclear(f"{what}: its objects are nested")
        if not any(isinstance(value, list) for value in values):
            if set(map(type, values)) <= {int, float}:
                columns.append(np.array(values, np.float64)[:, None])
            continue
        found = numeric(values, what)
        if found is None:
            raise Unclear(f"{what}: a list in it holds no numbers")
        columns.append(found.rows())
    numbers = len(columns) == len(keys)
    return Asked(len(entries), partial(np.concatenate, columns, axis=1) if numbers else None)


def understand(entries: object, rows: int, classes: Classes) -> Reply:
    """Understands the rows of an answer.

    All are lists of probabilities, objects ``{name: probability}``, lists of objects with
    ``label`` and ``score``, or labels: numbers, names, or a list of one of them.

    Args:
        entries: As they came.
        rows: How many there must be.
        classes: The names of the classes in order; ``None`` when not declared.

    Raises:
        Unclear: If they have another form, mix several, name what is no class, or their scores
            are no probabilities.
        AnswerError: Likewise.
    """
    if rows == 1 and type(entries) is list and len(entries) == 1:
        usual = usual_row(entries[0], classes)
        if usual is not None:
            return usual
    found = listed(entries, rows, "the answer")
    first = found[0]
    if isinstance(first, dict):
        return _named(found, classes, "object")
    if isinstance(first, list) and first and isinstance(first[0], dict):
        return _named(found, classes, "pairs")
    if isinstance(first, list) and len(first) > 1:
        return vectors(matrix(found, None if classes is None else len(classes)))
    return _labels(found, classes)


def predicted(entries: object, rows: int) -> Reply:
    """Understands the rows of an answer that are predicted numbers, alone or each in a list.

    Args:
        entries: As they came.
        rows: How many there must be.

    Raises:
        Unclear: If they are something else, or not finite.
        AnswerError: If there are more or fewer.
    """
    found = listed(entries, rows, "the answer")
    inside = [isinstance(one, list) and len(one) == 1 for one in found]
    alone = [one[0] if within else one for one, within in zip(found, inside, strict=True)]
    if not set(map(type, alone)) <= {int, float}:
        raise Unclear("a row of it is no number, and the policy says numbers = true")
    values = np.array(alone, np.float64)[:, None]

    def write(changed: Scores | None) -> list[Any]:
        told = (values if changed is None else changed)[:, 0].tolist()
        return [[one] if within else one for one, within in zip(told, inside, strict=True)]

    return values, write


def usual_row(row: Any, classes: Classes) -> Reply | None:
    """Reads a single row of a few probabilities, as most answers are, in few steps.

    Args:
        row: A list of probabilities; or, of declared classes, all by name.
        classes: The names of the classes in order; ``None`` when not declared.

    Returns:
        ``None`` if it is anything else, or anything is wrong: :func:`understand` finds what.
    """
    write: Callable[..., list[Any]] = _listed
    if classes is not None and type(row) is dict:
        row, write = _in_order(row, classes), partial(_written_rows, classes, "object")
    elif classes is not None and type(row) is list and row and type(row[0]) is dict:
        row, write = _in_order(_named_once(row), classes), partial(_written_rows, classes, "pairs")
    if type(row) is not list or not 1 < len(row) <= FEW or not _floats(row) or min(row) < 0:
        return None
    total = sum(row)
    if not abs(total - 1) <= TOLERANCE or (classes is not None and len(classes) != len(row)):
        return None
    scores = np.array([row if total == 1 else [one / total for one in row]])
    return scores, partial(write, scores)


def _in_order(row: dict[Any, Any], classes: tuple[str, ...]) -> list[Any]:
    """Returns what a row has for each class, ``None`` for none; nothing if it has others."""
    return [row.get(name) for name in classes] if len(row) == len(classes) else []


def _named_once(row: list[Any]) -> dict[Any, Any]:
    """Returns the scores of objects with ``label`` and ``score``; none if a label is odd."""
    if set(map(type, row)) != {dict}:
        return {}
    labels = [one.get("label") for one in row]
    if set(map(type, labels)) != {str} or len(set(labels)) != len(labels):
        return {}
    return dict(zip(labels, [one.get("score") for one in row], strict=True))


def vectors(scores: Scores) -> Reply:
    """Returns rows that are lists of probabilities.

    Raises:
        AnswerError: If they are none.
    """
    checked = probabilities(scores, "probabilities")
    return checked, partial(_listed, checked)


def _listed(scores: Scores, changed: Scores | None) -> list[Any]:
    listed: list[Any] = (scores if changed is None else changed).tolist()
    return listed


def _named(found: list[Any], classes: Classes, form: Literal["object", "pairs"]) -> Reply:
    rows = [_pairs(entry, form, classes) for entry in found]
    names = classes or tuple(sorted({name for row in rows for name in row}))
    place = {name: column for column, name in enumerate(names)}
    if len(names) < 2 and classes is None:
        raise Unclear("it names one class alone: declare classes in the policy")
    scores = np.full((len(rows), len(names)), np.nan)
    for number, row in enumerate(rows):
        for name, score in row.items():
            scores[number, place[name]] = score
    checked = probabilities(_completed(scores, declared=classes is not None), "probabilities")
    return checked, partial(_written_rows, names, form, checked)


def _completed(scores: Scores, *, declared: bool) -> Scores:
    """Spreads what is left of each row evenly over the classes that it does not name.

    Raises:
        Unclear: If something is left and the classes are not declared, so that nobody knows over
            how many.
    """
    absent = np.isnan(scores)
    left = 1 - np.where(absent, 0, scores).sum(axis=1)
    if (left < -TOLERANCE).any():
        raise Unclear("its scores are no probabilities")
    if not declared and (np.abs(left) > TOLERANCE).any():
        raise Unclear(
            "its scores do not sum to one: if it tells the best classes alone, declare classes in "
            "the policy"
        )
    each = np.maximum(left, 0) / np.maximum(absent.sum(axis=1), 1)
    return np.where(absent, each[:, None], scores)


def _pairs(entry: object, form: Literal["object", "pairs"], classes: Classes) -> dict[str, float]:
    items: list[tuple[object, Any]]
    if form == "object":
        items = [*as_object(entry, "a row of the answer").items()]
    else:
        members = [as_object(one, "an entry") for one in as_list(entry, "a row of the answer")]
        items = [(one.get("label"), one.get("score")) for one in members]
    pairs = {_declared(name, classes): score for name, score in items}
    if len(pairs) != len(items) or not pairs:
        raise Unclear("it names a class twice, or none")
    if not set(map(type, pairs.values())) <= {int, float}:
        raise Unclear("a score in it is no number")
    return pairs


def _declared(name: object, classes: Classes) -> str:
    if classes is None:
        return class_name(name)
    if not isinstance(name, str) or name not in classes:
        raise Unclear("it names a class that is not declared")
    return name


def _written_rows(
    names: Sequence[str], form: Literal["object", "pairs"], scores: Scores, changed: Scores | None
) -> list[Any]:
    told = (scores if changed is None else changed).tolist()
    return [_written(row, names, form) for row in told]


def _written(row: list[float], names: Sequence[str], form: Literal["object", "pairs"]) -> Any:
    """Writes a row with the best first.

    What has no probability is left out, and equals stand in the order of the classes: which
    classes the model put among its best, and in what order, would tell of its own scores.
    """
    order = sorted(range(len(row)), key=row.__getitem__, reverse=True)  # leaves equals in order
    kept = [column for column in order if row[column] > 0]
    if form == "object":
        return {names[column]: row[column] for column in kept}
    return [{"label": names[column], "score": row[column]} for column in kept]


def _labels(found: list[Any], classes: Classes) -> Reply:
    alone = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in found]
    for label in alone:
        check_label(label, classes)
    return None, lambda _: list(found)


def check_label(label: object, classes: Classes) -> None:
    """Refuses what is no class; a score must not leave as if it were a label.

    Raises:
        Unclear: If it is none.
    """
    if isinstance(label, str):
        _declared(label, classes)
        return
    whole = type(label) is int or (isinstance(label, float) and label.is_integer())
    most = _LARGEST_LABEL if classes is None else len(classes) - 1
    least = -most if classes is None else 0
    if not whole or not least <= label <= most:  # type: ignore[operator]
        raise Unclear(
            "a row of it is neither probabilities nor a label; for a model that predicts numbers, "
            "say numbers = true in the policy's [[wire]]"
        )


def class_name(name: object) -> str:
    """Returns the name of a class, or of a tensor.

    Raises:
        Unclear: If it is none: longer than any, or with a number in it that may be a score.
    """
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or _FRACTION.search(name):
        raise Unclear("a name in it looks like none: declare classes in the policy")
    return name
