"""A row alone is read in few steps, and to the same end as many rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.guard.admission import checked_scores
from darkroom.guard.wire.base import Refused
from darkroom.guard.wire.rows import understand, usual_row
from darkroom.guard.wire.strict_json import Limits, Unclear, read_json
from darkroom.wire.answers import FEW, AnswerError

CLASSES = ("ada", "grace", "edith")
SCORES = st.sampled_from([0.5, 0.25, 0.0, 1.0, 0.2501, -0.1, 1, 0, None, "0.5", True])
NAMES = st.sampled_from([*CLASSES, "alan", 3, None])


def _either(row: Any, classes: tuple[str, ...] | None) -> Any:
    """What a row comes to, twice in one answer: never in few steps."""
    try:
        scores, write = understand([row, row], 2, classes)
    except (Unclear, AnswerError):
        return None
    return None if scores is None else (scores[:1], write(None)[:1])


@given(
    st.one_of(
        st.lists(SCORES, max_size=4),
        st.dictionaries(NAMES.filter(lambda name: isinstance(name, str)), SCORES),
        st.lists(st.fixed_dictionaries({"label": NAMES, "score": SCORES}), max_size=4),
        st.lists(st.fixed_dictionaries({}, optional={"label": NAMES, "score": SCORES})),
    ),
    st.sampled_from([CLASSES, None]),
)
def test_a_row_alone_comes_to_what_two_come_to(row: Any, classes: tuple[str, ...] | None) -> None:
    found = usual_row(row, classes)
    if found is None:
        return
    scores, write = found
    assert scores is not None
    twice = _either(row, classes)
    assert twice is not None, "what few steps take is what many would"
    np.testing.assert_allclose(scores, twice[0], atol=1e-12)
    told, other = (zip(*_named(rows[0]), strict=True) for rows in (write(None), twice[1]))
    assert next(told) == next(other)
    assert next(told) == pytest.approx(next(other))


def _named(row: Any) -> list[tuple[Any, float]]:
    if isinstance(row, dict):
        return [*row.items()]
    return [(one["label"], one["score"]) if isinstance(one, dict) else (None, one) for one in row]


@pytest.mark.parametrize(
    "row",
    [
        [0.5, 0.25, 0.25],
        {"grace": 0.5, "ada": 0.25, "edith": 0.25},
        [
            {"label": name, "score": share}
            for name, share in zip(CLASSES, (0.5, 0.25, 0.25), strict=True)
        ],
    ],
)
def test_usual_rows_are_read_in_few_steps(row: Any) -> None:
    assert usual_row(row, CLASSES) is not None


def test_the_best_come_first_and_equals_in_the_order_of_classes() -> None:
    found = usual_row({"grace": 0.25, "edith": 0.5, "ada": 0.25}, CLASSES)
    assert found is not None
    _, write = found
    assert [*write(None)[0]] == ["edith", "ada", "grace"]
    assert write(np.array([[0.0, 1.0, 0.0]])) == [{"grace": 1.0}]


@pytest.mark.parametrize("count", [3, FEW + 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.5])
def test_what_is_no_probability_is_withheld(bad: float, count: int) -> None:
    scores = np.full((1, count), 1 / count)
    assert checked_scores(scores, 1) is scores
    for place in (0, 1, count - 1):
        wrong = scores.copy()
        wrong[0, place] = bad
        with pytest.raises(Refused):
            checked_scores(wrong, 1)


def test_members_are_counted_wherever_they_stand() -> None:
    limits = Limits()
    for body in (
        b'{"a": {"b": [1, {"c": 2, "d": [{"e": 1}]}]}, "f": "x:y", "g": [[1, 2], ["{"]]}',
        b'[{"a": 1}, [{"b": {}}], 3]',
    ):
        read_json(body, limits)
    for body in (b'{"a": {"b": [1, {"c": 2, "c": 3}]}, "f": 1}', b'[{"a": 1}, {"b": 1, "b": 1}]'):
        with pytest.raises(Unclear, match="twice"):
            read_json(body, limits)
    deepest = limits.depth - 1
    read_json(b'{"a":1,"b":' + b"[" * deepest + b"]" * deepest + b"}", limits)
    with pytest.raises(Unclear, match="deeply"):
        read_json(b'{"a":1,"b":' + b"[" * (deepest + 1) + b"]" * (deepest + 1) + b"}", limits)
