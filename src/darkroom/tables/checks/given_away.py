"""Whether known columns give the sensitive one away by themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.candidates import is_on
from darkroom.tables.schema import Column, Rows, Schema
from darkroom.tables.subject import TableSubject

NAME = "given away"
CAUSE = "determined by known columns"
LEAST_ROWS = 20
LEAST_OTHERS = 10
"""Rows with another value than the most frequent one, without which nothing can be told."""

FOLDS = 5
ALL = 0.99
"""Who is right about so many is right about all but strange rows."""


def check_given_away(subject: TableSubject) -> Check:
    """Asks the public rows whether other columns determine the sensitive one.

    Of a category this leaves the audit without a verdict: every candidate but the true one makes a
    row that there cannot be. A number that others tell is only noted, for statistics tell it too.
    """
    schema, rows = subject.data.schema, subject.data.public.rows
    sensitive, truth = ", ".join(schema.sensitive), subject.candidates.place(rows)
    passed = Check(
        name=NAME, outcome="passed", found=f"No known column gives {sensitive} away by itself."
    )
    if len(rows) < LEAST_ROWS:
        return passed
    if subject.candidates.numeric:
        return _of_number(schema, rows) or passed
    if len(truth) - np.bincount(truth).max() < LEAST_OTHERS:
        return passed
    found = _dummies(schema, rows) or _alone(schema, rows, truth) or _together(schema, rows, truth)
    return found or passed


def _failed(found: str, remedy: str) -> Check:
    return Check(name=NAME, outcome="failed", found=found, cause=CAUSE, remedy=remedy)


def _of_number(schema: Schema, rows: Rows) -> Check | None:
    """Notes a number that is a sum of known ones."""
    places = [place for place in schema.visible if schema.columns[place].kind == "numeric"]
    number = rows[:, schema.positions(schema.sensitive)[0]]
    places = [place for place in places if not np.isnan(rows[:, place]).any()]
    features = np.column_stack([rows[:, places], np.ones(len(rows))])
    if len(rows) <= 2 * features.shape[1]:
        return None
    found = features @ np.linalg.lstsq(features, number, rcond=None)[0]
    if np.abs(found - number).max() > 1e-6 * max(float(np.abs(number).max()), 1e-300):
        return None
    words = f"Column {schema.sensitive[0]!r} follows from the known numbers in every public row."
    return Check(name=NAME, outcome="noted", found=words)


def _alone(schema: Schema, rows: Rows, truth: NDArray[np.int64]) -> Check | None:
    """Finds a single column each of whose values stands beside one sensitive value."""
    sensitive = ", ".join(schema.sensitive)
    unknown = set(schema.positions(schema.unknown))
    for place in (*schema.visible, *sorted(unknown)):
        values = np.unique(rows[:, place], return_inverse=True)[1].ravel()
        number = int(values.max()) + 1
        # A column of names that hardly repeat determines anything, and tells nothing.
        if number > len(rows) / 5 or number < 2:
            continue
        pairs = len(np.unique(values * (int(truth.max()) + 1) + truth))
        if pairs == number:
            name = schema.names[place]
            return _failed(
                f"Column {name!r} gives {sensitive} away: in all {len(rows):,} public rows each of "
                f"its {number} values stands beside one value of {sensitive}.",
                f"Name it in [private] derived, so that it changes with {sensitive}, or, if they "
                "are dummies, name all of them: sensitive = "
                '{columns = [...], encoding = "one-hot"}.',
            )
    return None


def _dummies(schema: Schema, rows: Rows) -> Check | None:
    """Finds known columns of zeros and ones that make a one-hot encoding with the sensitive one."""
    if len(schema.sensitive) != 1:
        return None
    name = schema.sensitive[0]
    own = _on(schema.column(name), rows[:, schema.positions([name])[0]])
    if own is None:
        return None
    parts = {
        schema.names[place]: on
        for place in schema.visible
        if (on := _on(schema.columns[place], rows[:, place])) is not None and not (on & own).any()
    }
    # Those that share most of their name with the sensitive one first.
    order = sorted(parts, key=lambda other: -_alike(name, other))
    covered, chosen = own.copy(), [name]
    for other in order:
        if not (parts[other] & covered).any() and parts[other].any():
            covered |= parts[other]
            chosen.append(other)
        if covered.all():
            listed = ", ".join(f'"{one}"' for one in chosen)
            return _failed(
                f"Columns {', '.join(chosen)} are one attribute: in every public row one of them "
                f"is on, so the others give {name} away.",
                f'Set sensitive = {{columns = [{listed}], encoding = "one-hot"}}.',
            )
    return None


def _alike(name: str, other: str) -> int:
    """Returns with how many letters both begin."""
    pairs = enumerate(zip(name, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(name), len(other)))


def _on(column: Column, values: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Returns where a column of zeros and ones is on; ``None`` for any other column."""
    if column.kind == "numeric":
        return np.asarray(values == 1) if np.isin(values, (0, 1)).all() else None
    if len(column.values) != 2 or not any(is_on(column, place) for place in (0, 1)):
        return None
    return np.asarray([is_on(column, value) for value in values])


def _together(schema: Schema, rows: Rows, truth: NDArray[np.int64]) -> Check | None:
    """Finds out whether all known columns together determine the sensitive one."""
    from sklearn.tree import DecisionTreeClassifier

    known = rows[:, schema.visible]
    if not known.shape[1]:
        return None
    fold = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    right = np.zeros(len(rows), dtype=bool)
    for one in range(FOLDS):
        learn, test = fold != one, fold == one
        tree = DecisionTreeClassifier(random_state=0).fit(known[learn], truth[learn])
        right[test] = tree.predict(known[test]) == truth[test]
    others = truth != np.bincount(truth).argmax()
    if right.mean() < ALL or right[others].mean() < ALL:
        return None
    sensitive = ", ".join(schema.sensitive)
    return _failed(
        f"The known columns together give {sensitive} away: without the model, a tree is right "
        f"about {right.mean():.1%} of the public rows that it has not seen.",
        "Name the columns that follow from it in [private] derived, or those that the attacker "
        "does not know in [private] unknown.",
    )
