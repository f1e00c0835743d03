"""Days and sliding windows: when rows count, and when they do no more."""

from __future__ import annotations

import datetime
from dataclasses import FrozenInstanceError
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.guard.windows import (
    BUCKETS,
    DAY,
    LONGEST,
    UNITS,
    Window,
    bucket_end,
    bucket_length,
    parse_window,
)

UTC, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
NOON = 1_760_011_200_000
"""9 October 2025, 12:00 in UTC and 14:00 in Berlin."""

HOUR = 3_600_000


def milliseconds(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def test_units_are_what_they_are_called() -> None:
    assert UNITS == {"s": 1000, "m": 60_000, "h": HOUR, "d": 24 * HOUR}
    assert (DAY, LONGEST) == (24 * HOUR, 31 * 24 * HOUR)
    assert list(BUCKETS) == sorted(BUCKETS, reverse=True)
    assert not [one for one in BUCKETS if 60_000 % one]
    assert (BUCKETS[0], BUCKETS[-1]) == (60_000, 50)


@pytest.mark.parametrize(
    ("text", "length"),
    [("1s", 1000), ("30s", 30_000), ("15m", 900_000), ("1h", HOUR), ("31d", LONGEST)],
)
def test_spans_are_read(text: str, length: int) -> None:
    assert parse_window(text) == Window(length)
    assert parse_window(text).seconds == length / 1000


def test_a_window_is_told_in_seconds_and_parts_of_them() -> None:
    assert Window(1500).seconds == 1.5


def test_a_window_is_not_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Window(1500).length = 1  # type: ignore[misc]


def test_a_day_is_a_calendar_day() -> None:
    assert parse_window("day") == Window(None)
    assert Window(None).seconds == 86_400


@pytest.mark.parametrize("text", ["", "0s", "01s", "1", "s", "1w", "1.5h", "-1s", "days", "1s "])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither 'day' nor a span"):
        parse_window(text)


@pytest.mark.parametrize("text", ["32d", "745h", "2678401s"])
def test_what_is_longer_than_a_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 31 days"):
        parse_window(text)


def test_what_counts_in_a_sliding_window_is_as_long_ago_as_it_is_long() -> None:
    assert Window(HOUR).since(NOON, BERLIN) == NOON - HOUR
    assert Window(HOUR).left(NOON, BERLIN) == HOUR


def test_a_day_is_that_of_the_zone() -> None:
    day = Window(None)
    assert day.since(NOON, UTC) == NOON - 12 * HOUR
    assert day.since(NOON, BERLIN) == NOON - 14 * HOUR
    assert day.left(NOON, UTC) == 12 * HOUR
    assert day.left(NOON, BERLIN) == 10 * HOUR


def test_days_on_which_clocks_change_are_longer_or_shorter() -> None:
    autumn, spring = milliseconds("2025-10-26T00:00+02:00"), milliseconds("2026-03-29T00:00+01:00")
    for midnight, length in ((autumn, 25 * HOUR), (spring, 23 * HOUR)):
        assert Window(None).since(midnight, BERLIN) == midnight
        assert Window(None).left(midnight, BERLIN) == length
        assert Window(None).since(midnight + length - 1, BERLIN) == midnight
        assert Window(None).left(midnight + length - 1, BERLIN) == 1


RECENT = [(NOON - 50_000, 3), (NOON - 10_000, 4)]


@pytest.mark.parametrize(
    ("room", "opened", "reset"),
    [
        (7, [], NOON),
        (6, [], NOON + 10_000),
        (4, [], NOON + 10_000),
        (3, [], NOON + 50_000),
        (0, [], NOON + 50_000),
        (-1, [], None),
        (4, [(NOON + 20_000, 3)], NOON),
        (2, [(NOON + 20_000, 3)], NOON + 10_000),
        # What an operator opened is over when the second bucket has not left yet.
        (2, [(NOON + 5_000, 3)], NOON + 50_000),
        (-1, [(NOON + 60_000, 1)], NOON + 50_000),
        (-1, [(NOON + 40_000, 1)], None),
    ],
)
def test_rows_fit_when_enough_have_left_a_window(
    room: int, opened: list[tuple[int, int]], reset: int | None
) -> None:
    assert Window(60_000).reset(NOON, UTC, RECENT, room, opened) == reset


def test_rows_fit_into_a_day_at_midnight() -> None:
    assert Window(None).reset(NOON, BERLIN, RECENT, 7) == NOON
    assert Window(None).reset(NOON, BERLIN, RECENT, 6) == NOON + 10 * HOUR
    assert Window(None).reset(NOON, BERLIN, RECENT, 5, [(NOON + 1, 2)]) == NOON


@pytest.mark.parametrize(
    ("lengths", "bucket"),
    [
        ([], 60_000),
        ([None], 60_000),
        ([1_200_000], 60_000),
        ([1_199_999], 30_000),
        ([HOUR, 20_000, None], 1000),
        ([1000], 50),
    ],
)
def test_buckets_are_a_twentieth_of_the_shortest_window(
    lengths: list[int | None], bucket: int
) -> None:
    assert bucket_length(Window(one) for one in lengths) == bucket


@given(st.integers(0, 2 * NOON), st.sampled_from(BUCKETS))
def test_a_bucket_ends_after_its_moments_and_no_later_than_it_is_long(
    time: int, length: int
) -> None:
    end = bucket_end(time, length)
    assert time < end <= time + length
    assert end % length == 0
