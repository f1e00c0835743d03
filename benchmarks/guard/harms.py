"""Ways in which budgets that were spent could be open again: what happens to policies and ledgers.

All of it was seen in operation, or is kin to what was.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from darkroom.guard.budgets.rules import MODEL


def policy_text(words: dict[str, Any]) -> str:
    """Writes a policy as people do: each client, budget and format under a heading of its own."""
    parts = []
    for name, value in words.items():
        for one in value if isinstance(value, list) else [value]:
            heading = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            parts.append(f"{heading}\n{tomli_w.dumps(one)}")
    return "\n".join(parts)


class Place(NamedTuple):
    """Where one guard's files and ledger are.

    Attributes:
        kind: Of the store.
        address: The file of SQLite, the address of the others.
        model: The guard's name for it; whose ledger it is.
        policy: The policy's file.
        words: What stands in it.
    """

    kind: str
    address: str
    model: str
    policy: Path
    words: dict[str, Any]

    def write(self, text: str) -> None:
        """Puts other text into the policy's file, as an editor does."""
        made = self.policy.with_suffix(".new")
        made.write_text(text)
        made.replace(self.policy)

    def written(self, **changes: object) -> str:
        """Returns the policy with some tables replaced, budgets and defences last."""
        tables = {**self.words, **changes}
        last = {name: tables.pop(name) for name in ("budget", "defense") if name in tables}
        return policy_text(tables | last)


class Way(NamedTuple):
    """One way.

    Attributes:
        name: In a few words.
        harm: Does it.
    """

    name: str
    harm: Callable[[Place], None]


def cut_before(table: str) -> Callable[[Place], None]:
    """Returns a harm that cuts the policy off before a table: often that is valid TOML."""

    def harm(place: Place) -> None:
        text = place.written()
        place.write(text[: text.index(f"[[{table}]]")])

    return harm


def in_mid_word(place: Place) -> None:
    """Cuts the policy off within a word."""
    text = place.written()
    place.write(text[: text.index("decimals") + 3])


def into_shadow(place: Place) -> None:
    """Turns shadow mode on."""
    place.write(place.written(guard={**place.words["guard"], "shadow": True}))


def smaller_window(place: Place) -> None:
    """Puts a budget of another name and a shorter window in the place of the one there is."""
    place.write(place.written(budget=[{"name": "hourly", "rows": 10**6, "window": "1h"}]))


POLICIES = [
    Way("policy: cut off before its budgets", cut_before("budget")),
    Way("policy: cut off before its defences", cut_before("defense")),
    Way("policy: cut off in mid-word", in_mid_word),
    Way("policy: shadow = true", into_shadow),
    Way("policy: another budget in its place", smaller_window),
]


def _sql(statement: str) -> Callable[[Place], None]:
    def harm(place: Place) -> None:
        if place.kind == "sqlite":
            line = sqlite3.connect(place.address, timeout=20, isolation_level=None)
            line.execute(statement, (place.model,))
            line.close()
        else:
            import psycopg

            with psycopg.connect(place.address, autocommit=True) as server:
                server.execute(statement.replace("?", "%s").encode(), (place.model,))

    return harm


LOST_ROWS = [
    Way("ledger: its rows are deleted", _sql("DELETE FROM darkroom_ledger WHERE model = ?")),
    Way("ledger: rows are set to 1", _sql("UPDATE darkroom_ledger SET rows = 1 WHERE model = ?")),
    Way("ledger: its sums are deleted", _sql("DELETE FROM darkroom_subjects WHERE model = ?")),
    Way("ledger: its head is deleted", _sql("DELETE FROM darkroom_ledgers WHERE model = ?")),
]


def deleted(place: Place) -> None:
    """Deletes the file."""
    Path(place.address).unlink()


def emptied(place: Place) -> None:
    """Cuts the file to no bytes."""
    with Path(place.address).open("r+b") as file:
        file.truncate(0)


def another_file(place: Place) -> None:
    """Puts an empty database in its place."""
    deleted(place)
    line = sqlite3.connect(place.address)
    line.execute("CREATE TABLE other (one INTEGER)")
    line.commit()
    line.close()


def dropped(place: Place) -> None:
    """Drops all tables, of every model."""
    import psycopg

    with psycopg.connect(place.address, autocommit=True) as server:
        server.execute("DROP TABLE darkroom_ledger, darkroom_subjects, darkroom_ledgers")


def _redis(place: Place) -> Any:
    import redis

    return redis.Redis.from_url(place.address, decode_responses=True)


def _keys(place: Place, client: Any) -> list[str]:
    return sorted(client.scan_iter(f"darkroom:{{{place.model}}}:*"))


def loses(part: str) -> Callable[[Place], None]:
    """Returns a harm that deletes one of the ledger's keys."""

    def harm(place: Place) -> None:
        with _redis(place) as client:
            assert client.delete(f"darkroom:{{{place.model}}}:{part}") == 1

    return harm


def flushed(place: Place) -> None:
    """Empties Redis."""
    with _redis(place) as client:
        client.flushall()


def evicts(place: Place) -> None:
    """Lets Redis evict what was not used lately, until a key is gone, and hides the settings."""
    with _redis(place) as client:
        before = _keys(place, client)
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "2mb")
        for number in range(40_000):
            client.set(f"other-{number}", "x" * 1000)
            if number % 500 == 499 and _keys(place, client) != before:
                break
        others = list(client.scan_iter("other-*"))
        for start in range(0, len(others), 1000):
            client.delete(*others[start : start + 1000])
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")
        assert _keys(place, client) != before, "Redis evicted nothing of the ledger"


def setting(name: str, value: str) -> Callable[[Place], None]:
    """Returns a harm that changes a setting of a Redis that runs."""

    def harm(place: Place) -> None:
        with _redis(place) as client:
            client.config_set(name, value)

    return harm


def eviction_allowed(place: Place) -> None:
    """Lets Redis evict from now on, though there is room yet."""
    setting("maxmemory-policy", "allkeys-lru")(place)
    setting("maxmemory", "64mb")(place)


class Copy:
    """An older state of a ledger, that is put back."""

    def __init__(self, place: Place) -> None:
        """Takes the state as it is now."""
        self.place = place
        self._file = Path(f"{place.address}.copy")
        self._kept: Any = None
        if place.kind == "sqlite":
            with sqlite3.connect(place.address) as now, sqlite3.connect(self._file) as then:
                now.backup(then)
        elif place.kind == "redis":
            with _redis(place) as client:
                import redis

                raw = redis.Redis.from_url(place.address)
                self._kept = {key: raw.dump(key) for key in _keys(place, client)}
                raw.close()
        else:
            self._kept = {
                table: self._asked(f"SELECT * FROM {table} WHERE model = %s", place.model)
                for table in TABLES
            }

    def put_back(self) -> None:
        """Puts it in the place of what is there."""
        place = self.place
        if place.kind == "sqlite":
            for end in ("-wal", "-shm", "-journal"):
                Path(f"{place.address}{end}").unlink(missing_ok=True)
            shutil.copyfile(self._file, place.address)  # the same file, with other content
        elif place.kind == "redis":
            with _redis(place) as client:
                for key in _keys(place, client):
                    client.delete(key)
                for key, value in self._kept.items():
                    client.restore(key, 0, value)
        else:
            for table, rows in self._kept.items():
                self._asked(f"DELETE FROM {table} WHERE model = %s", place.model)
                for row in rows:
                    marks = ", ".join(["%s"] * len(row))
                    self._asked(f"INSERT INTO {table} VALUES ({marks})", *row)

    def _asked(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.place.address, autocommit=True) as server:
            done = server.execute(statement.encode(), values)
            return done.fetchall() if done.description else []


TABLES = ("darkroom_ledgers", "darkroom_subjects", "darkroom_ledger")

LEDGERS: dict[str, list[Way]] = {
    "sqlite": [
        Way("ledger: its file is deleted", deleted),
        Way("ledger: its file is emptied", emptied),
        Way("ledger: an empty database in its place", another_file),
        *LOST_ROWS,
    ],
    "redis": [
        Way("ledger: Redis evicts keys (allkeys-lru)", evicts),
        Way("ledger: Redis is flushed", flushed),
        Way("ledger: Redis loses a client's rows", loses(f"rows:{MODEL}")),
        Way("ledger: Redis loses its subjects", loses("held")),
        Way("ledger: Redis loses its head", loses("ledger")),
        Way("settings: appendfsync everysec", setting("appendfsync", "everysec")),
        Way("settings: appendonly no", setting("appendonly", "no")),
        Way("settings: eviction is allowed", eviction_allowed),
    ],
    "postgres": [
        Way("ledger: its tables are dropped", dropped),
        *LOST_ROWS,
    ],
}


def mend_settings(place: Place) -> None:
    """Sets a Redis as a guard needs it, and forgets everything in it."""
    if place.kind == "redis":
        with _redis(place) as client:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("appendonly", "yes")
            client.config_set("appendfsync", "always")
            client.flushall()
