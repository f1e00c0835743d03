"""All processes of a run ask at one pace, and every row is counted before it goes."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from darkroom.auditing.claims import ASKED
from darkroom.remote.shared_limits import PAUSE, SharedRateLimiter


def limiters(folder: Path, concurrency: int = 2) -> tuple[SharedRateLimiter, SharedRateLimiter]:
    """Two processes' limiters."""
    return SharedRateLimiter(folder, concurrency, 30), SharedRateLimiter(folder, concurrency, 30)


def rows(folder: Path) -> int:
    return int(json.loads((folder / ASKED).read_bytes())["rows"])


def test_together_they_have_no_more_requests_under_way(tmp_path: Path) -> None:
    one, other = limiters(tmp_path)
    for limiter in (one, other):
        assert limiter.wait(4) == 0
        limiter.sent(4)
    assert one.wait(4) == other.wait(4) == PAUSE
    assert rows(tmp_path) == 8
    one.returned(4)
    assert other.wait(4) == 0
    other.sent(4)
    assert rows(tmp_path) == 12


def test_what_one_is_told_holds_for_the_other(tmp_path: Path) -> None:
    one, other = limiters(tmp_path, concurrency=9)
    assert one.wait(1) == 0
    one.sent(1)
    one.told({"ratelimit": '"daily";r=2;t=30', "ratelimit-policy": '"daily";q=5;w=60'}, 1)
    one.returned(1)
    for limiter in (other, one):
        assert limiter.wait(1) == 0
        limiter.sent(1)
    assert 20 < other.wait(1) <= 30
    assert 20 < one.wait(1) <= 30
    assert rows(tmp_path) == 3


def test_a_place_is_kept_for_whoever_may_go(tmp_path: Path) -> None:
    one, other = limiters(tmp_path, concurrency=1)
    assert one.wait(1) == 0
    assert other.wait(1) == PAUSE  # though the first has not sent yet
    one.sent(1)
    assert rows(tmp_path) == 1


def test_who_waits_writes_nothing(tmp_path: Path) -> None:
    one, other = limiters(tmp_path, concurrency=1)
    assert one.wait(1) == 0
    before = (tmp_path / ASKED).stat().st_ino
    assert other.wait(1) == PAUSE
    assert (tmp_path / ASKED).stat().st_ino == before


def test_a_file_system_without_locks_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    one, _ = limiters(tmp_path)
    assert one.wait(3) == 0
    assert rows(tmp_path) == 3


def test_a_hold_holds_for_all(tmp_path: Path) -> None:
    one, other = limiters(tmp_path)
    one.hold(20)
    assert 15 < other.wait(1) <= 20


def test_what_a_killed_process_waited_for_is_over_after_the_time_out(tmp_path: Path) -> None:
    killed, other = SharedRateLimiter(tmp_path, 1, 0.0), SharedRateLimiter(tmp_path, 1, 30)
    assert killed.wait(5) == 0
    assert other.wait(5) == 0
    assert rows(tmp_path) == 10


def test_before_the_run_begins_each_keeps_its_own_pace(tmp_path: Path) -> None:
    one, other = limiters(tmp_path / "later", concurrency=1)
    assert one.wait(1) == other.wait(1) == 0
    one.sent(1)
    assert not (tmp_path / "later").exists()
    (tmp_path / "later").mkdir()
    one.returned(1)
    assert rows(tmp_path / "later") == 1


def test_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    one, _ = limiters(tmp_path)
    one.wait(1)
    assert ASKED in {path.name for path in tmp_path.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
