"""Ways in which budgets that were spent could be open again: each ends closed, and is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from benchmarks.guard.servers import has_redis, redis_server
from tests.guard.conftest import Bench, Hand, policy_table
from tests.guard.test_stores import charge
from tests.support.needs import absent

from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.base import NoLedgerError, Store, StoreError
from darkroom.guard.stores.sqlite import SqliteStore

Stores = Callable[..., Store]
DEFENDED = {"defense": [{"name": "rounding", "decimals": 1}]}


class Written:
    """A guard that reads its policy from a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "guard.toml"
        self.table = policy_table(store={"create": True}, **DEFENDED)
        self.write(self.table)
        self.bench = Bench(self.path, None)

    def write(self, table: dict[str, Any]) -> None:
        self.path.write_text(tomli_w.dumps(table))
        found = self.path.stat()
        os.utime(self.path, ns=(0, found.st_mtime_ns + 1_000_000))

    def ask(self, rows: int = 1) -> Any:
        return asyncio.run(self.bench.ask(rows))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.setattr("darkroom.guard.middleware.LOOK_EVERY", 0.0)
    return Written(tmp_path)


@pytest.mark.parametrize("lost", [("defense",), ("budget", "defense")])
def test_a_policy_that_is_cut_off_is_not_put_in_force(
    written: Written, lost: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    assert written.ask(7).status == 200
    written.write({key: value for key, value in written.table.items() if key not in lost})
    answer = written.ask()
    assert "ratelimit" in answer.headers
    assert set(answer.json["scores"][0]) <= {0.0, 1.0}
    assert written.ask(3).status == 429
    assert "less than the policy before" in caplog.text
    assert "stays in force" in caplog.text


def test_shadow_mode_needs_more_than_a_reload(
    written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    written.write({**written.table, "guard": {"model": "tiny", "shadow": True}})
    assert "secret" not in written.ask().json
    assert 'gives_up = ["shadow"]' in caplog.text
    meant = {"model": "tiny", "shadow": True, "gives_up": ["shadow"]}
    written.write({**written.table, "guard": meant})
    assert written.ask().json["secret"] == "raw"
    assert "SHADOW: nothing is refused" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"upstream": {"url": "http://other:1"}},
        {"upstream": {"headers_from_env": {"x-key": "KEY"}}},
        {"model": [{"name": "one", "paths": ["/predict"], "url": "http://other:1"}]},
    ],
)
def test_other_servers_need_a_restart(
    written: Written, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    more = {"budget": [{"name": "daily", "rows": 99}], "upstream": {"seconds": 9.0}}
    written.write({**written.table, **more, **change})
    assert written.ask(10).status == 200
    assert written.ask().status == 429
    assert "cannot change while it runs" in caplog.text
    written.write({**written.table, **more})
    assert written.ask().status == 200


def test_what_is_given_up_must_be_named_each_time(written: Written) -> None:
    fewer = {**written.table, "defense": []}
    written.write({**fewer, "guard": {"model": "tiny", "gives_up": ["budget daily"]}})
    assert set(written.ask().json["scores"][0]) <= {0.0, 1.0}
    written.write({**fewer, "guard": {"model": "tiny", "gives_up": ["defense rounding"]}})
    assert not set(written.ask().json["scores"][0]) <= {0.0, 1.0}


def test_numbers_that_a_policy_writes_out_are_said(written: Written) -> None:
    assert written.ask(10).status == 200
    written.write({**written.table, "budget": [{"name": "daily", "rows": 12}]})
    assert [written.ask(2).status, written.ask().status] == [200, 429]


def test_a_new_process_does_not_begin_with_less(
    tmp_path: Path, hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    def made(**changes: Any) -> Bench:
        policy = parse_policy(policy_table(**changes), "policy")
        return Bench(policy, SqliteStore("tiny", tmp_path / "g.sqlite", clock=hand, create=True))

    assert asyncio.run(made(**DEFENDED).ask(8)).status == 200
    assert asyncio.run(made().ask()).status == 503
    assert "defense rounding" in caplog.text
    meant = {"model": "tiny", "gives_up": ["defense rounding"]}
    assert asyncio.run(made(guard=meant).ask(1)).status == 200
    assert asyncio.run(made().ask(1)).status == 200  # which is what is protected since
    assert asyncio.run(made().ask(1)).status == 429


def test_a_new_process_does_not_begin_in_shadow_mode(
    tmp_path: Path, hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    def made(**guard: Any) -> Bench:
        policy = parse_policy(policy_table(guard={"model": "tiny", **guard}, **DEFENDED), "policy")
        return Bench(policy, SqliteStore("tiny", tmp_path / "g.sqlite", clock=hand, create=True))

    assert asyncio.run(made().ask(10)).status == 200
    turned = made(shadow=True)
    assert asyncio.run(turned.ask(2)).status == 503
    assert turned.model.rows == 0
    assert 'gives_up = ["shadow"]' in caplog.text
    assert asyncio.run(made(shadow=True, gives_up=["shadow"]).ask(2)).json["secret"] == "raw"


def test_a_middleware_says_what_it_protects(caplog: pytest.LogCaptureFixture) -> None:
    Bench(parse_policy(policy_table(budget=[]), "policy"), None)
    assert f"in force in process {os.getpid()}" in caplog.text
    assert "budgets: NONE" in caplog.text
    assert "they may ask as often as they like" in caplog.text


# Ledgers


def test_a_ledger_is_begun_on_purpose(stores: Stores, hand: Hand) -> None:
    with pytest.raises(NoLedgerError, match="darkroom guard init"):
        stores("begun-on-purpose", hand, create=False).charge(charge(1, 5))
    made = stores("begun-on-purpose", hand, create=False).begin()
    store = stores("begun-on-purpose", hand, create=False)
    assert store.charge(charge(5, 5)).granted
    assert store.begin().identity == made.identity
    again = stores("begun-on-purpose", hand, create=False)
    assert not again.charge(charge(1, 5)).granted
    assert again.begin(discard=True).identity != made.identity
    with pytest.raises(StoreError, match="another ledger"):
        store.charge(charge(1, 5))
    assert stores("begun-on-purpose", hand, create=False).charge(charge(5, 5)).granted


def test_one_that_is_begun_because_the_policy_says_so_is_told(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    stores("told-loudly").open()
    assert "BEGAN A NEW LEDGER for told-loudly" in caplog.text


def _sql(address: tuple[str, str], statement: str, *values: object) -> None:
    kind, place = address
    if kind == "sqlite":
        with sqlite3.connect(place) as line:
            line.execute(statement, values)
        line.close()
    else:
        import psycopg

        with psycopg.connect(place, autocommit=True) as server:
            server.execute(statement.replace("?", "%s").encode(), values)


LOST_ROWS = [
    "DELETE FROM darkroom_ledger WHERE model = ?",
    "UPDATE darkroom_ledger SET rows = 1 WHERE model = ?",
    "DELETE FROM darkroom_subjects WHERE model = ?",
    "DELETE FROM darkroom_ledgers WHERE model = ?",
]


@pytest.mark.parametrize("statement", LOST_ROWS)
def test_rows_that_are_lost_are_missed(
    stores: Stores, address: tuple[str, str], statement: str, hand: Hand
) -> None:
    if address[0] == "redis":
        pytest.skip("Redis loses keys")
    model = f"lost-{LOST_ROWS.index(statement)}"
    store = stores(model, hand, create=False)
    store.begin()
    assert store.charge(charge(5, 5)).granted
    _sql(address, statement, model)
    for one in (store, stores(model, hand, create=False)):
        with pytest.raises(StoreError):
            one.charge(charge(1, 5))


@pytest.mark.parametrize("key", ["ledger", "held", "rows:a", "ends:a"])
def test_keys_that_redis_loses_are_missed(redis_url: str, key: str, hand: Hand) -> None:
    import redis

    from darkroom.guard.stores.redis import RedisStore

    model = f"loses-{key[:4]}"
    stores = [RedisStore(model, redis_url, clock=hand) for _ in range(2)]
    stores[0].begin()
    assert stores[0].charge(charge(5, 5)).granted
    client = redis.Redis.from_url(redis_url)
    assert client.delete(f"darkroom:{{{model}}}:{key}") == 1
    for store in stores:
        with pytest.raises(StoreError):
            store.charge(charge(1, 5))
        store.close()
    client.close()


@pytest.mark.medium
def test_a_redis_that_forgets_while_it_runs_is_refused(hand: Hand) -> None:
    if not has_redis():
        absent("no redis-server is installed: apt-get install redis-server")
    import redis

    from darkroom.guard.stores.redis import RedisStore

    with redis_server() as url:
        client = redis.Redis.from_url(url)
        store = RedisStore("m", url, clock=hand, create=True)
        assert store.charge(charge(4, 5)).granted
        client.config_set("appendfsync", "everysec")
        with pytest.raises(StoreError, match="appendfsync always"):
            store.charge(charge(1, 5))
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "2mb")
        with pytest.raises(StoreError, match="noeviction"):
            store.charge(charge(1, 5))
        # One who trusts it all the same misses what was evicted.
        trusting = RedisStore("m", url, clock=hand, trust_durability=True)
        with client.pipeline(transaction=False) as many:
            for number in range(4000):
                many.set(f"other-{number}", "x" * 1000)
            many.execute()
        with pytest.raises(StoreError):
            trusting.charge(charge(1, 50))
        for one in (store, trusting, client):
            one.close()


def test_a_flushed_redis_opens_nothing(redis_url: str, hand: Hand) -> None:
    import redis

    from darkroom.guard.stores.redis import RedisStore

    store = RedisStore("flushed", redis_url, clock=hand)
    store.begin()
    assert store.charge(charge(5, 5)).granted
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    for one in (store, RedisStore("flushed", redis_url, clock=hand)):
        with pytest.raises(NoLedgerError):
            one.charge(charge(1, 5))
        one.close()


def _deleted(path: Path) -> None:
    path.unlink()


def _emptied(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


def _replaced(path: Path) -> None:
    path.unlink()
    sqlite3.connect(path).close()
    path.touch()


@pytest.mark.parametrize("harm", [_deleted, _emptied, _replaced])
def test_a_file_that_is_lost_opens_nothing(
    tmp_path: Path, harm: Callable[[Path], None], hand: Hand
) -> None:
    path = tmp_path / "guard.sqlite"
    store = SqliteStore("m", path, clock=hand)
    store.begin()
    assert store.charge(charge(5, 5)).granted
    harm(path)
    for one in (store, store, SqliteStore("m", path, clock=hand)):
        with pytest.raises(StoreError):
            one.charge(charge(1, 5))


def test_a_copy_that_is_put_back_is_noticed_by_who_charged_since(
    tmp_path: Path, hand: Hand
) -> None:
    path = tmp_path / "guard.sqlite"
    store = SqliteStore("m", path, clock=hand)
    store.begin()
    assert store.charge(charge(1, 5)).granted
    shutil.copy(path, tmp_path / "copy.sqlite")
    assert store.charge(charge(4, 5)).granted
    store.close()
    shutil.copy(tmp_path / "copy.sqlite", path)
    with pytest.raises(StoreError, match="has lost 1 charge"):
        store.charge(charge(1, 5))
