"""Rate limits: what headers say, and when the next request may go."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import few

from darkroom.remote.rate_limits import RateLimiter, quotas, retry_after


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def told(limiter: RateLimiter, headers: dict[str, str], rows: int = 1) -> None:
    """Sends a request, takes its answer in, and counts it as over."""
    limiter.sent(rows)
    limiter.told(headers, rows)
    limiter.returned(rows)


DRAFT = {"ratelimit": '"daily";r=2;t=30', "ratelimit-policy": '"daily";q=5;w=60'}


@pytest.mark.parametrize(
    "headers",
    [
        DRAFT,
        {"ratelimit": '"daily";r=2;t=30'},
        {"ratelimit": "limit=5, remaining=2, reset=30"},
        {"ratelimit-limit": "5", "ratelimit-remaining": "2", "ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "2", "x-ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "2", "x-ratelimit-reset": "time of day"},
        {"x-rate-limit-remaining": "2", "x-rate-limit-reset": "30"},
    ],
)
def test_what_is_left_may_go_and_no_more(headers: dict[str, str]) -> None:
    if "time of day" in headers.values():
        headers = headers | {"x-ratelimit-reset": str(round(time.time()) + 30)}
    clock = Clock()
    limiter = RateLimiter(clock)
    assert limiter.wait(1) == 0
    told(limiter, headers)
    for _ in range(2):
        assert limiter.wait(1) == 0
        limiter.sent(1)
    assert 28 <= limiter.wait(1) <= 31
    clock.now += 31
    assert limiter.wait(1) == 0


def test_after_a_window_there_is_as_much_as_the_policy_says() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    told(limiter, DRAFT)
    clock.now += 30
    went = 0
    while limiter.wait(1) == 0:
        limiter.sent(1)
        limiter.returned(1)
        went += 1
    assert went == 5
    assert limiter.wait(1) == 60


def test_requests_under_way_are_taken_off() -> None:
    limiter = RateLimiter(Clock())
    for _ in range(3):
        limiter.sent(1)
    limiter.told({"ratelimit": '"a";r=2;t=9'}, 1)
    limiter.returned(1)
    assert limiter.wait(1) == 9, "two are under way, and two are left"


def test_quotas_in_rows() -> None:
    limiter = RateLimiter(Clock())
    headers = {"ratelimit": '"a";r=40;t=9', "ratelimit-policy": '"a";q=50;w=60;qu="rows"'}
    told(limiter, headers, rows=10)
    assert limiter.wait(40) == 0
    assert limiter.wait(41) == 9
    limiter.sent(30)
    assert limiter.wait(11) == 9
    assert limiter.wait(10) == 0


def test_a_request_larger_than_a_window_goes_when_the_window_is_whole() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    headers = {"ratelimit": '"a";r=1;t=9', "ratelimit-policy": '"a";q=5;w=60;qu="rows"'}
    told(limiter, headers)
    assert limiter.wait(50) == 9
    clock.now += 9
    assert limiter.wait(50) == 0


def test_the_strictest_of_several_limits_counts() -> None:
    limiter = RateLimiter(Clock())
    told(limiter, {"ratelimit": '"hour";r=5;t=600, "second";r=0;t=2'})
    assert limiter.wait(1) == 2


def test_a_pause_holds_everything() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    limiter.hold(7)
    limiter.hold(3)
    assert limiter.wait(1) == 7
    clock.now += 7
    assert limiter.wait(1) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit": ""},
        {"ratelimit": '"a"'},
        {"ratelimit": '"a";r=-1;t=5'},
        {"ratelimit": '"a";r=?0;t=5'},
        {"ratelimit": '"a";r=0.0'},
        {"ratelimit": '"a;r=0'},
        {"ratelimit": "remaining=x"},
        {"ratelimit": "(1 2);r=0"},
        {"ratelimit": '"a";r=99999999999999999999'},
        {"x-ratelimit-remaining": "none"},
        {"x-ratelimit-remaining": "٣"},
        {"ratelimit": "\u20ac"},
    ],
)
def test_what_cannot_be_read_limits_nothing(headers: dict[str, str]) -> None:
    limiter = RateLimiter(Clock())
    told(limiter, headers)
    assert limiter.wait(1) == 0


NAMES = [
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
    "date",
]
VALUES = st.text(max_size=20) | st.from_regex(
    r'("[a-z]{0,3}"(;(r|t|q|w|qu)=(-?[0-9.]{0,9}|"rows"|\?1)){0,3}(, )?){0,3}', fullmatch=True
)


@given(headers=st.dictionaries(st.sampled_from(NAMES), VALUES))
@few
def test_any_headers(headers: dict[str, str]) -> None:
    limiter = RateLimiter(Clock())
    told(limiter, headers)
    assert limiter.wait(1) >= 0
    wait = retry_after(headers)
    assert wait is None or wait >= 0
    assert all(quota.left >= 0 for quota in quotas(headers, 0.0).values())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("inf", None),
        ("9" * 400, None),
        ("tomorrow", None),
        ("", None),
        ("Tue, 99 Mar 2026 10:00:30 GMT", None),
        ("Tue, 03 Mar 1999 10:00:30 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    found = retry_after({"retry-after": text})
    assert found == seconds or (seconds is None and found is not None and found > 1e9)


def test_retry_after_a_date() -> None:
    until = formatdate(time.time() + 100, usegmt=True)
    found = retry_after({"retry-after": until})
    assert found is not None
    assert 98 <= found <= 100
    ahead = {"date": formatdate(time.time() + 90, usegmt=True)}
    found = retry_after({"retry-after": until, **ahead})
    assert found == 10
