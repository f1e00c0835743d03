"""``python -m benchmarks.guard.admitted NAME FOLDER LIMIT``: how many one process lets through."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.guard.apps import pyrate_limiter
from darkroom.guard.api_keys import hashed
from darkroom.guard.budgets.charging import Budgets
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore


def slowapi(_: Path, limit: int) -> int:
    """Asks slowapi's limiter, whose count each worker has for itself."""
    from limits import parse
    from slowapi import Limiter

    limiter = Limiter(key_func=lambda: "client")
    item = parse(f"{limit}/day")
    return sum(limiter.limiter.hit(item, "client") for _ in range(limit * 2))


def pyrate(folder: Path, limit: int) -> int:
    """Asks PyrateLimiter's SQLite bucket, which processes share."""
    limiter = pyrate_limiter(folder / "shared.sqlite", limit)
    admitted = 0
    for _ in range(limit * 2):
        with contextlib.suppress(sqlite3.OperationalError):  # another process has the lock
            admitted += bool(limiter.try_acquire("client", blocking=False))
    return admitted


def guard(folder: Path, limit: int) -> int:
    """Asks the guard's budgets in SQLite, which processes share."""
    table = {
        "guard": {"model": "shared"},
        "client": [{"name": "client", "key": hashed("key")}],
        "budget": [{"name": "daily", "rows": limit}],
    }
    policy = parse_policy(table, "benchmark")

    async def ask() -> int:
        budgets = Budgets(
            policy, SqliteStore("shared", folder / "admitted.sqlite", patience=60, create=True)
        )
        granted = [(await budgets.charge(Asker("client"), 1)).granted for _ in range(limit * 2)]
        await budgets.close()
        return sum(granted)

    return asyncio.run(ask())


KINDS: dict[str, Callable[[Path, int], int]] = {
    "slowapi": slowapi,
    "pyrate": pyrate,
    "guard": guard,
}

if __name__ == "__main__":
    print(KINDS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3])))
