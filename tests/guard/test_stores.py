"""What every store of budgets must do."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.guard.servers import free_port, has_redis, redis_server
from tests.guard.conftest import Hand
from tests.support.needs import absent

from darkroom.guard.stores.base import RETENTION, Charge, Entry, Line, Store, StoreError
from darkroom.guard.stores.sqlite import SqliteStore

Address = tuple[str, str]
Stores = Callable[..., Store]
BUCKET = 60_000


@pytest.fixture
def model() -> str:
    return f"model-{uuid.uuid4().hex}"


def charge(
    rows: int, limit: int, *, subject: str = "a", window: int = 3_600_000
) -> Callable[[int], Charge]:
    def make(moment: int) -> Charge:
        until = (moment // BUCKET + 1) * BUCKET
        return Charge((Entry(subject, until, rows),), (Line(subject, moment - window, limit),))

    return make


def total(store: Store, subject: str = "a") -> int:
    return sum(one.rows for one in store.buckets(subject, 0))


def test_charges_are_all_or_nothing(stores: Stores, model: str, hand: Hand) -> None:
    store = stores(model, hand)
    store.open()
    first = store.charge(charge(3, 5))
    assert (first.granted, first.spent, first.time) == (True, (3,), int(hand.time * 1000))

    def two(moment: int) -> Charge:
        until = moment // BUCKET * BUCKET + BUCKET
        entries = (Entry("a", until, 2), Entry("b", until, 2))
        return Charge(entries, (Line("a", 0, 5), Line("b", 0, 1), Line("b", 0, 9)))

    second = store.charge(two)
    assert (second.granted, second.spent, second.refused) == (False, (3, 0, 0), (1,))
    assert (total(store), total(store, "b")) == (3, 0)
    assert store.charge(charge(2, 5)).granted
    assert not store.charge(charge(1, 5)).granted
    assert store.subjects() == ["a"]
    store.check()
    store.close()
    again = stores(model, hand)
    again.open()
    assert total(again) == 5
    again.close()


def test_models_are_apart(stores: Stores, model: str, hand: Hand) -> None:
    one, other = (stores(name, hand) for name in (model, f"{model}-other"))
    assert one.charge(charge(5, 5)).granted
    assert other.charge(charge(5, 5)).granted
    assert (total(one), total(other)) == (5, 5)
    one.close()
    other.close()


def test_a_clock_that_is_set_back_opens_nothing(stores: Stores, model: str, hand: Hand) -> None:
    store = stores(model, hand)
    late = store.charge(charge(5, 5)).time
    hand.time -= 40 * 86_400
    refused = store.charge(charge(1, 5))
    assert (refused.granted, refused.time) == (False, late)
    assert store.now() == late
    # Not for another process either.
    assert not stores(model, hand).charge(charge(1, 5)).granted
    hand.time += 40 * 86_400 + 3_600 + 60
    assert store.charge(charge(1, 5)).granted
    store.close()


def test_what_was_never_used_is_taken_back_once(stores: Stores, model: str, hand: Hand) -> None:
    store = stores(model, hand)
    time = store.charge(charge(5, 5)).time
    until = (time // BUCKET + 1) * BUCKET
    back = store.charge(lambda _: Charge((), (), (Entry("a", until, 3),)))
    assert back.granted
    assert total(store) == 2
    with pytest.raises(StoreError):
        store.charge(lambda _: Charge((), (), (Entry("a", until, 3),)))
    assert total(store) == 2
    # What comes back stays back, even where the charge is refused.
    both = lambda moment: charge(9, 5)(moment)._replace(returns=(Entry("a", until, 1),))  # noqa: E731
    assert not store.charge(both).granted
    assert total(store) == 1
    store.close()


def test_buckets_leave_windows_when_all_of_them_is_past(
    stores: Stores, model: str, hand: Hand
) -> None:
    store = stores(model, hand)
    ends = []
    for _ in range(3):
        ends.append((store.charge(charge(2, 6)).time // BUCKET + 1) * BUCKET)
        hand.time += 1200
    assert [one.until for one in store.buckets("a", 0)] == ends
    assert store.buckets("a", ends[1]) == [Entry("a", ends[2], 2)]
    # The first is over one hour old by the end of its bucket only.
    assert not store.charge(charge(2, 6)).granted
    hand.time += 60
    assert store.charge(charge(2, 6)).granted
    store.close()


def test_what_no_window_reaches_is_forgotten(
    stores: Stores, model: str, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.guard.stores.sql.PURGE_EVERY", 2)
    store = stores(model, hand)
    store.charge(charge(1, 9))
    hand.time += RETENTION / 1000 + 120
    for _ in range(3):
        store.charge(charge(1, 9))
    assert [one.rows for one in store.buckets("a", 0)] == [3]
    store.check()
    store.close()


@pytest.mark.medium
def test_many_at_once_are_exact(stores: Stores, model: str) -> None:
    granted: list[int] = []

    def ask() -> None:
        store = stores(model, patience=20)
        granted.extend(1 for _ in range(40) if store.charge(charge(1, 100)).granted)
        store.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 100


def test_a_ledger_that_forgot_is_noticed(
    stores: Stores, address: Address, model: str, hand: Hand
) -> None:
    store = stores(model, hand)
    store.charge(charge(5, 5))
    kind, place = address
    if kind == "sqlite":
        with sqlite3.connect(place) as other:
            other.execute("DELETE FROM darkroom_ledgers")
        other.close()
    elif kind == "redis":
        import redis

        client = redis.Redis.from_url(place)
        client.flushall()
        client.close()
    else:
        import psycopg

        with psycopg.connect(place, autocommit=True) as server:
            server.execute("DELETE FROM darkroom_ledgers WHERE model = %s", (model,))
    for _ in range(2):
        with pytest.raises(StoreError):
            store.charge(charge(1, 5))
    store.close()


def test_a_file_that_is_replaced_while_open_is_noticed(tmp_path: Path, hand: Hand) -> None:
    store = SqliteStore("m", tmp_path / "guard.sqlite", clock=hand, create=True)
    store.charge(charge(5, 5))
    (tmp_path / "guard.sqlite").rename(tmp_path / "away.sqlite")
    SqliteStore("m", tmp_path / "guard.sqlite", clock=hand, create=True).open()
    with pytest.raises(StoreError, match="replaced"):
        store.charge(charge(1, 5))
    with pytest.raises(StoreError, match="another ledger"):
        store.charge(charge(1, 5))


def test_sqlite_files_are_their_owners_alone_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "guard.sqlite"
    store = SqliteStore("m", path, create=True)
    store.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = store._connection
    assert connection is not None
    assert connection.execute("PRAGMA synchronous").fetchone()[0] >= 2
    store.close()


@pytest.mark.medium
def test_a_second_store_in_one_process_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "guard.sqlite"
    first = SqliteStore("m", path, patience=0.1, create=True)
    first.open()
    assert first._connection is not None
    first._connection.execute("BEGIN IMMEDIATE")
    second = SqliteStore("n", path, patience=0.1, create=True)
    with pytest.raises(StoreError):
        second.open()
    code = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None)\n"
        "try:\n    c.execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError:\n    sys.exit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 3
    first._connection.execute("ROLLBACK")
    first.close()


def test_locks_of_others_are_waited_for_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "guard.sqlite"
    store = SqliteStore("m", path, patience=0.1, create=True)
    store.charge(charge(1, 5))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.charge(charge(1, 5))
    other.execute("ROLLBACK")
    other.close()
    assert store.charge(charge(1, 5)).spent == (2,)
    store.close()


def test_a_full_disk_charges_nothing(tmp_path: Path) -> None:
    store = SqliteStore("m", tmp_path / "guard.sqlite", create=True)
    store.charge(charge(1, 10**9))
    assert store._connection is not None
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    charged = 0

    def fill() -> None:
        nonlocal charged
        for number in range(10_000):
            store.charge(charge(1, 10**9, subject=f"subject-{number}"))
            charged += 1

    with pytest.raises(StoreError, match="full"):
        fill()
    assert total(store, f"subject-{charged - 1}") == 1
    assert total(store, f"subject-{charged}") == 0
    store.check()
    store._connection.execute("PRAGMA max_page_count=100000")
    assert store.charge(charge(1, 10**9)).spent == (2,)
    store.close()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "guard.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore("m", path, create=True).charge(charge(1, 5))


@pytest.mark.medium
def test_a_server_that_is_away_is_an_error_and_comes_back() -> None:
    if not has_redis():
        absent("no redis-server is installed: apt-get install redis-server")
    from darkroom.guard.stores.redis import RedisStore

    port = free_port()
    store = RedisStore("m", f"redis://127.0.0.1:{port}/0", patience=0.5, create=True)
    with pytest.raises(StoreError):
        store.charge(charge(1, 5))
    with redis_server(port=port):
        assert store.charge(charge(1, 5)).granted
    with pytest.raises(StoreError):
        store.charge(charge(1, 5))
    # It comes back empty, which is noticed.
    with redis_server(port=port), pytest.raises(StoreError, match="no ledger"):
        store.charge(charge(1, 5))
    store.close()


@pytest.mark.medium
def test_a_redis_that_forgets_is_refused_unless_it_is_trusted() -> None:
    if not has_redis():
        absent("no redis-server is installed: apt-get install redis-server")
    from darkroom.guard.stores.redis import RedisStore

    with redis_server(durable=False) as url:
        store = RedisStore("m", url, create=True)
        with pytest.raises(StoreError, match="appendonly yes, appendfsync always"):
            store.charge(charge(1, 5))
        store.close()
        trusted = RedisStore("m", url, trust_durability=True, create=True)
        assert trusted.charge(charge(1, 5)).granted
        trusted.close()
