"""Budgets in Redis or Valkey, for several hosts that share them."""

from __future__ import annotations

import json
import time
from typing import Any

from darkroom.errors import MissingExtraError, one_line
from darkroom.guard.stores.base import (
    RETENTION,
    Charge,
    Clock,
    Entry,
    Make,
    Receipt,
    Store,
    StoreError,
)
from darkroom.redaction import secrets_of, without

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:  # pragma: no cover - depends on the installation
    raise MissingExtraError("redis", "redis") from error

SCRIPT = """
local asked = cjson.decode(ARGV[1])
local place = KEYS[2]
local mark = tonumber(redis.call('GET', KEYS[1]) or '0')
if mark < asked.seen then return {'lost'} end
if mark >= asked.ends then return {'late', string.format('%.0f', mark)} end
if mark < asked.moment then mark = asked.moment end
for _, one in ipairs(asked.returns) do
  local held = redis.call('HGET', place .. ':rows:' .. one[1], one[2])
  if not held or tonumber(held) < tonumber(one[3]) then return {'lost'} end
end
for _, one in ipairs(asked.returns) do
  redis.call('HINCRBY', place .. ':rows:' .. one[1], one[2], '-' .. one[3])
end
redis.call('SET', KEYS[1], string.format('%.0f', mark))
local added = {}
for _, one in ipairs(asked.entries) do added[one[1]] = tonumber(one[3]) end
local answer, over = {'granted', string.format('%.0f', mark)}, false
for position, line in ipairs(asked.lines) do
  local rows = 0
  local ends = redis.call('ZRANGEBYSCORE', place .. ':ends:' .. line[1], '(' .. line[2], '+inf')
  for _, one in ipairs(ends) do
    rows = rows + tonumber(redis.call('HGET', place .. ':rows:' .. line[1], one) or '0')
  end
  local fits = rows + (added[line[1]] or 0) <= tonumber(line[3])
  if not fits then over = true end
  answer[position + 2] = string.format('%.0f', rows) .. (fits and '' or '!')
end
if over then answer[1] = 'refused' return answer end
for _, one in ipairs(asked.entries) do
  local rows, ends = place .. ':rows:' .. one[1], place .. ':ends:' .. one[1]
  redis.call('SADD', place .. ':subjects', one[1])
  if redis.call('HINCRBY', rows, one[2], one[3]) == tonumber(one[3]) then
    redis.call('ZADD', ends, one[2], one[2])
    local old = redis.call('ZRANGEBYSCORE', ends, '-inf', '(' .. asked.oldest, 'LIMIT', '0', '100')
    for _, gone in ipairs(old) do
      redis.call('HDEL', rows, gone)
      redis.call('ZREM', ends, gone)
    end
  end
end
return answer
"""
"""Runs whole or not at all as far as others can see; all checks come before the first write."""

ATTEMPTS = 8


class RedisStore(Store):
    """Budgets in one Redis database.

    A charge is one script, so nobody sees half of it. What is charged is durable only where Redis
    writes and syncs each command (``appendonly yes``, ``appendfsync always``) and evicts nothing;
    the store refuses another Redis unless told to trust it. A replica that takes over may lack the
    last charges: then the ledger's clock is behind what this process has seen, and it refuses.
    Commands are never sent twice. The clock is the server's, so that hosts need not agree.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        patience: float = 2.0,
        trust_durability: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Takes the address; :meth:`open` connects.

        Args:
            model: As the policy has it.
            url: Such as ``redis://host:6379/0``.
            patience: Seconds to wait for an answer.
            trust_durability: Whether to skip the check of the server's settings.
            clock: A clock instead of the server's.
        """
        super().__init__(model, clock or time.time)
        self._own_clock = clock
        self._trust, self._secrets = trust_durability, secrets_of(url)
        self._place = f"darkroom:{{{model}}}"
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=patience,
                socket_connect_timeout=patience,
                retry=Retry(NoBackoff(), 0),
                decode_responses=True,
            )
        except ValueError as error:
            # What the library says of an address may quote it, and a password in it.
            raise StoreError(
                f"no address of a Redis server ({type(error).__name__}): write it as "
                "redis://:password@host:6379/0, with signs in the password as %2F"
            ) from None
        self._script = self._client.register_script(SCRIPT)
        self._checked = False

    def open(self) -> None:
        """Checks that the server keeps what it is told; see :meth:`Store.open`."""
        if self._checked:
            return
        if not self._trust:
            self._require_durability()
        self._checked = True

    def close(self) -> None:
        """Closes all connections; see :meth:`Store.close`."""
        self._client.close()

    def charge(self, make: Make) -> Receipt:
        """Charges with one script; see :meth:`Store.charge`."""
        self.open()
        # What is charged at a moment is right until its bucket ends: no midnight lies between, and
        # sliding windows that begin a little earlier count a little more.
        moment = int(self._time() * 1000)
        for _ in range(ATTEMPTS):
            moment = max(moment, self._seen)
            charge = make(moment)
            answer = self._run(charge, moment)
            if answer[0] == "late":
                moment = int(answer[1])
                continue
            if answer[0] == "lost":
                self._advanced(-1, 0)
                raise StoreError(
                    f"the Redis store of {self.model} has lost rows: restart the guard"
                )
            settled = int(answer[1])
            self._settled(settled)
            return _receipt(charge, settled, answer[0] == "granted", answer[2:])
        raise StoreError("the clock of the Redis store moves faster than charges are made")

    def buckets(self, subject: str, since: int) -> list[Entry]:
        """Reads a subject's buckets; see :meth:`Store.buckets`."""
        found = self._told(lambda: self._client.hgetall(f"{self._place}:rows:{subject}"))
        entries = [Entry(subject, int(until), int(rows)) for until, rows in found.items()]
        return sorted(one for one in entries if one.until > since)

    def subjects(self) -> list[str]:
        """Reads the subjects; see :meth:`Store.subjects`."""
        return sorted(self._told(lambda: self._client.smembers(f"{self._place}:subjects")))

    def now(self) -> int:
        """Reads the clock; see :meth:`Store.now`."""
        mark = self._told(lambda: self._client.get(f"{self._place}:clock"))
        return self._advanced(int(mark or 0), self._time())

    def check(self) -> None:
        """Makes sure that every bucket is listed and holds rows; see :meth:`Store.check`."""
        for subject in self.subjects():
            rows = self._told(lambda s=subject: self._client.hgetall(f"{self._place}:rows:{s}"))
            ends = self._told(
                lambda s=subject: self._client.zrange(f"{self._place}:ends:{s}", 0, -1)
            )
            if set(rows) != set(ends) or any(int(one) < 0 for one in rows.values()):
                raise StoreError(f"the Redis store of {self.model} is damaged at {subject}")

    def _run(self, charge: Charge, moment: int) -> list[str]:
        # Numbers go as text: Lua would write large ones with an exponent.
        asked = {
            "seen": self._seen,
            "moment": moment,
            "ends": min((one.until for one in charge.entries), default=1 << 52),
            "oldest": str(moment - RETENTION),
            "entries": [[one.subject, str(one.until), str(one.rows)] for one in charge.entries],
            "returns": [[one.subject, str(one.until), str(one.rows)] for one in charge.returns],
            "lines": [[one.subject, str(one.since), str(one.limit)] for one in charge.lines],
        }
        keys = [f"{self._place}:clock", self._place]
        return list(self._told(lambda: self._script(keys=keys, args=[json.dumps(asked)])))

    def _time(self) -> float:
        if self._own_clock is not None:
            return self._own_clock()
        seconds, microseconds = self._told(self._client.time)
        return float(seconds) + float(microseconds) / 1e6

    def _require_durability(self) -> None:
        wanted = {"appendonly": "yes", "appendfsync": "always"}
        found: dict[str, str] = {}
        for name in (*wanted, "maxmemory", "maxmemory-policy"):
            found.update(self._told(lambda n=name: self._client.config_get(n)))
        wrong = [f"{name} {value}" for name, value in wanted.items() if found.get(name) != value]
        if found.get("maxmemory", "0") != "0" and found.get("maxmemory-policy") != "noeviction":
            wrong.append("maxmemory-policy noeviction")
        if wrong:
            raise StoreError(
                f"Redis may forget charges: set {', '.join(wrong)}, or [store] trust_durability"
            )

    def _told(self, ask: Any) -> Any:
        try:
            return ask()
        except redis.RedisError as error:
            raise StoreError(f"Redis failed ({without(one_line(error), self._secrets)})") from None


def _receipt(charge: Charge, moment: int, granted: bool, sums: list[str]) -> Receipt:
    before = [int(one.removesuffix("!")) for one in sums]
    if not granted:
        refused = tuple(at for at, one in enumerate(sums) if one.endswith("!"))
        return Receipt(False, moment, tuple(before), refused)
    added = {entry.subject: entry.rows for entry in charge.entries}
    lines = zip(charge.lines, before, strict=True)
    return Receipt(True, moment, tuple(rows + added.get(one.subject, 0) for one, rows in lines))
