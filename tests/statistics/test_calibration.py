"""Calibration errors, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from darkroom.statistics.calibration import BINS, calibration_error


def sure(*confidences: float) -> np.ndarray:
    """Returns answers of two classes that name class 0 with these confidences."""
    return np.array([[one, 1 - one] for one in confidences])


def test_answers_that_are_right_as_often_as_they_say_have_no_error() -> None:
    truth = np.repeat([0, 1], [80, 20])
    assert calibration_error(sure(*[0.8] * 100), truth) == pytest.approx(0)


def test_answers_of_one_bin_are_taken_together() -> None:
    # Bins are a fifteenth wide: both are in the one from 0.8 to 0.867, of whom half are right.
    assert calibration_error(sure(0.81, 0.85), np.array([0, 1])) == pytest.approx(0.33)


def test_answers_of_different_bins_do_not_make_up_for_each_other() -> None:
    found = calibration_error(sure(0.7, 0.9), np.array([0, 1]))
    assert found == pytest.approx((0.3 + 0.9) / 2)


def test_a_certain_answer_is_in_the_last_bin() -> None:
    last, before = (BINS - 0.5) / BINS, (BINS - 1.5) / BINS
    assert calibration_error(sure(1.0, last), np.array([1, 0])) == pytest.approx(last / 2)
    apart = calibration_error(sure(1.0, before), np.array([1, 0]))
    assert apart == pytest.approx((1 + 1 - before) / 2)


def test_bins_begin_where_they_say() -> None:
    assert BINS == 15
    apart = calibration_error(sure(12.1 / 15, 11.9 / 15), np.array([0, 1]))
    assert apart == pytest.approx((1 - 12.1 / 15 + 11.9 / 15) / 2)
