"""Budgets in Redis or Valkey, for several hosts that share them."""

from __future__ import annotations

import json
import time
from typing import Any

from darkroom.errors import MissingExtraError, one_line
from darkroom.guard.stores.base import (
    MEND,
    RETENTION,
    Charge,
    Clock,
    Entry,
    Ledger,
    Make,
    Receipt,
    Store,
    StoreError,
    new_identity,
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
local told = redis.call('HMGET', KEYS[1], 'identity', 'mark', 'turn', 'subjects', 'rows')
if not told[1] then return {'none'} end
local answer = {'granted', '0', told[1], told[3], told[5]}
local function said(word, more) answer[1] = word answer[6] = more return answer end
if asked.identity ~= told[1] or tonumber(told[3]) < asked.turn then return said('unknown') end
local mark = tonumber(told[2])
answer[2] = string.format('%.0f', mark)
if mark >= asked.ends then return said('late') end
if mark < asked.moment then mark = asked.moment end
local held = place .. ':held'
if redis.call('HLEN', held) ~= tonumber(told[4]) then return said('lacking', 'a subject') end
for _, one in ipairs(asked.subjects) do
  local count = tonumber(redis.call('HGET', held, one) or '0')
  if redis.call('HLEN', place .. ':rows:' .. one) ~= count
  or redis.call('ZCARD', place .. ':ends:' .. one) ~= count then return said('lacking', one) end
end
for _, one in ipairs(asked.returns) do
  local rows = redis.call('HGET', place .. ':rows:' .. one[1], one[2])
  if not rows or tonumber(rows) < tonumber(one[3]) then return said('lacking', one[1]) end
end
for _, one in ipairs(asked.returns) do
  redis.call('HINCRBY', place .. ':rows:' .. one[1], one[2], '-' .. one[3])
  redis.call('HINCRBY', KEYS[1], 'rows', '-' .. one[3])
end
answer[2] = string.format('%.0f', mark)
redis.call('HSET', KEYS[1], 'mark', answer[2])
answer[4] = tostring(redis.call('HINCRBY', KEYS[1], 'turn', 1))
local added = {}
for _, one in ipairs(asked.entries) do
  added[one[1]] = (added[one[1]] or 0) + tonumber(one[3])
end
local over = false
for position, line in ipairs(asked.lines) do
  local rows = 0
  local ends = redis.call('ZRANGEBYSCORE', place .. ':ends:' .. line[1], '(' .. line[2], '+inf')
  for _, one in ipairs(ends) do
    rows = rows + tonumber(redis.call('HGET', place .. ':rows:' .. line[1], one) or '0')
  end
  local more, limit = 0, tonumber(line[3])
  if rows + (added[line[1]] or 0) > limit then
    for _, opened in ipairs(line[4]) do
      local ends = place .. ':ends:' .. opened
      for _, one in ipairs(redis.call('ZRANGEBYSCORE', ends, '(' .. answer[2], '+inf')) do
        more = more + tonumber(redis.call('HGET', place .. ':rows:' .. opened, one) or '0')
      end
    end
  end
  local fits = rows + (added[line[1]] or 0) <= limit + more
  if not fits then over = true end
  answer[position + 5] = string.format('%.0f %.0f', rows, more) .. (fits and '' or '!')
end
if over then answer[1] = 'refused' return answer end
for _, one in ipairs(asked.entries) do
  local rows, ends = place .. ':rows:' .. one[1], place .. ':ends:' .. one[1]
  if redis.call('HEXISTS', held, one[1]) == 0 then
    redis.call('HSET', held, one[1], 0)
    redis.call('HINCRBY', KEYS[1], 'subjects', 1)
  end
  if redis.call('HEXISTS', rows, one[2]) == 0 then
    redis.call('ZADD', ends, one[2], one[2])
    redis.call('HINCRBY', held, one[1], 1)
    local old = redis.call('ZRANGEBYSCORE', ends, '-inf', '(' .. asked.oldest, 'LIMIT', '0', '100')
    for _, gone in ipairs(old) do
      local less = 0 - tonumber(redis.call('HGET', rows, gone))
      redis.call('HINCRBY', KEYS[1], 'rows', string.format('%.0f', less))
      redis.call('HDEL', rows, gone)
      redis.call('ZREM', ends, gone)
      redis.call('HINCRBY', held, one[1], -1)
    end
  end
  redis.call('HINCRBY', rows, one[2], one[3])
  redis.call('HINCRBY', KEYS[1], 'rows', one[3])
end
return answer
"""
"""Runs whole or not at all as far as others can see; all checks come before the first write."""

BEGIN = """
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then
  redis.call('HSET', KEYS[1], 'identity', ARGV[1], 'mark', 0, 'turn', 0, 'subjects', 0, 'rows', 0)
end
return redis.call('HMGET', KEYS[1], 'identity', 'mark', 'turn', 'rows')
"""

WHOLE = """
local told = redis.call('HMGET', KEYS[1], 'subjects', 'rows')
local held = redis.call('HGETALL', KEYS[2] .. ':held')
if #held ~= 2 * tonumber(told[1] or '-1') then return 'its subjects' end
local all = 0
for at = 1, #held, 2 do
  local rows = redis.call('HGETALL', KEYS[2] .. ':rows:' .. held[at])
  local count = tonumber(held[at + 1])
  if #rows ~= 2 * count or redis.call('ZCARD', KEYS[2] .. ':ends:' .. held[at]) ~= count then
    return held[at]
  end
  for one = 2, #rows, 2 do
    if tonumber(rows[one]) < 0 or not redis.call('ZSCORE', KEYS[2] .. ':ends:' .. held[at],
      rows[one - 1]) then return held[at] end
    all = all + tonumber(rows[one])
  end
end
if all ~= tonumber(told[2]) then return 'its sum' end
return false
"""
"""Returns where the ledger is not whole."""

ATTEMPTS = 8
FIELDS = ["identity", "mark", "turn", "rows"]


class RedisStore(Store):
    """Budgets in one Redis database.

    A charge is one script, so nobody sees half of it. What is charged is durable only where Redis
    writes and syncs each command (``appendonly yes``, ``appendfsync always``) and evicts nothing;
    the store refuses another Redis unless told to trust it, and asks for the settings with every
    charge. A replica that takes over may lack the last charges: then the ledger has seen fewer than
    this process, and it refuses. Redis loses keys whole, so the ledger counts its keys, and what is
    in each. Commands are never sent twice. The clock is the server's, so that hosts need not agree.
    """

    title = "the Redis store"

    def __init__(
        self,
        model: str,
        url: str,
        *,
        patience: float = 2.0,
        trust_durability: bool = False,
        clock: Clock | None = None,
        create: bool = False,
    ) -> None:
        """Takes the address; :meth:`open` connects.

        Args:
            model: As the policy has it.
            url: Such as ``redis://host:6379/0``.
            patience: Seconds to wait for an answer.
            trust_durability: Whether to skip the check of the server's settings.
            clock: A clock instead of the server's.
            create: Whether a ledger is begun where there is none.
        """
        super().__init__(model, clock or time.time, create=create)
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
        self._header = f"{self._place}:ledger"
        self._script = self._client.register_script(SCRIPT)

    def connect(self) -> None:
        """Checks that the server keeps what it is told; see :meth:`Store.connect`."""
        if not self._trust:
            self._require_durability(self._told(lambda: self._settings().execute()))

    def close(self) -> None:
        """Closes all connections; see :meth:`Store.close`."""
        self._client.close()

    def ledger(self) -> Ledger | None:
        """Reads the ledger; see :meth:`Store.ledger`."""
        return _ledger(self._told(lambda: self._client.hmget(self._header, FIELDS)))

    def begin(self, *, discard: bool = False) -> Ledger:
        """Begins one; see :meth:`Store.begin`.

        Raises:
            StoreError: If parts of one are there that lacks its head.
        """
        self.connect()
        found = self.ledger()
        if discard or found is None:
            parts = self._told(lambda: list(self._client.scan_iter(f"{self._place}:*")))
            if parts and not discard:
                again = self.ledger()
                if again is not None:  # begun by somebody else meanwhile
                    return again
                raise StoreError(
                    f"{self.title}: parts of a ledger of {self.model} are there without its head: "
                    f"{MEND}"
                )
            if parts:
                self._told(lambda: self._client.delete(*parts))
        begun = _ledger(
            self._told(lambda: self._client.eval(BEGIN, 1, self._header, new_identity()))
        )
        assert begun is not None
        return begun

    def remembered(self) -> str | None:
        """Reads what was kept; see :meth:`Store.remembered`."""
        found = self._told(lambda: self._client.hget(self._header, "protection"))
        return None if found is None else str(found)

    def remember(self, text: str) -> None:
        """Keeps a text; see :meth:`Store.remember`."""
        self._told(lambda: self._client.hset(self._header, "protection", text))

    def charge(self, make: Make) -> Receipt:
        """Charges with one script; see :meth:`Store.charge`."""
        if self._known is None:
            self.open()
        known = self._known
        assert known is not None
        # What is charged at a moment is right until its bucket ends: no midnight lies between, and
        # sliding windows that begin a little earlier count a little more.
        moment = int(self._time() * 1000)
        for _ in range(ATTEMPTS):
            moment = max(moment, known.mark)
            charge = make(moment)
            word, *rest = self._run(charge, moment, known)
            if word == "none":
                self._recognised(None)
            mark, *told = rest
            found = Ledger(told[0], int(mark), int(told[1]), int(told[2]))
            if word == "unknown":
                self._recognised(found)
            if word == "lacking":
                raise self._lacks(told[3])
            if word == "late":
                moment = found.mark
                continue
            self._known = found
            return _receipt(charge, found.mark, word == "granted", told[3:])
        raise StoreError("the clock of the Redis store moves faster than charges are made")

    def buckets(self, subject: str, since: int) -> list[Entry]:
        """Reads a subject's buckets; see :meth:`Store.buckets`."""
        found = self._told(lambda: self._client.hgetall(f"{self._place}:rows:{subject}"))
        entries = [Entry(subject, int(until), int(rows)) for until, rows in found.items()]
        return sorted(one for one in entries if one.until > since)

    def subjects(self) -> list[str]:
        """Reads the subjects; see :meth:`Store.subjects`."""
        return sorted(self._told(lambda: self._client.hkeys(f"{self._place}:held")))

    def now(self) -> int:
        """Reads the clock; see :meth:`Store.now`."""
        return self._moment(self._recognised(self.ledger()), self._time())

    def check(self) -> None:
        """Makes sure that keys, rows and sums agree; see :meth:`Store.check`."""
        whole = self._told(lambda: self._client.eval(WHOLE, 2, self._header, self._place))
        if whole:
            raise StoreError(
                f"{self.title}: the ledger of {self.model} is damaged at {whole}: {MEND}"
            )

    def _run(self, charge: Charge, moment: int, known: Ledger) -> list[str]:
        # Numbers go as text: Lua would write large ones with an exponent.
        asked = {
            "identity": known.identity,
            "turn": known.turn,
            "moment": moment,
            "ends": min((one.until for one in charge.entries), default=1 << 52),
            "oldest": str(moment - RETENTION),
            "subjects": sorted(charge.subjects),
            "entries": [[one.subject, str(one.until), str(one.rows)] for one in charge.entries],
            "returns": [[one.subject, str(one.until), str(one.rows)] for one in charge.returns],
            "lines": [
                [one.subject, str(one.since), str(one.limit), one.opened] for one in charge.lines
            ],
        }
        answer: list[str] = self._told(lambda: self._sent(json.dumps(asked)))
        return answer

    def _sent(self, asked: str) -> list[str]:
        """Asks for the settings and charges, in one exchange."""
        asking = self._client.pipeline(transaction=False) if self._trust else self._settings()
        asking.evalsha(self._script.sha, 2, self._header, self._place, asked)
        *settings, answer = asking.execute(raise_on_error=False)
        if isinstance(answer, redis.exceptions.NoScriptError):  # nothing was charged
            self._client.script_load(SCRIPT)
            return self._sent(asked)
        for one in (*settings, answer):
            if isinstance(one, redis.RedisError):
                raise one
        if not self._trust:
            self._require_durability(settings)
        return [str(one) for one in answer]

    def _settings(self) -> Any:
        asking = self._client.pipeline(transaction=False)
        asking.config_get("append*")
        asking.config_get("maxmemory*")
        return asking

    def _time(self) -> float:
        if self._own_clock is not None:
            return self._own_clock()
        seconds, microseconds = self._told(self._client.time)
        return float(seconds) + float(microseconds) / 1e6

    def _require_durability(self, settings: list[dict[str, str]]) -> None:
        wanted = {"appendonly": "yes", "appendfsync": "always"}
        found = {name: value for one in settings for name, value in one.items()}
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


def _ledger(told: list[str | None]) -> Ledger | None:
    identity, mark, turn, rows = told
    if identity is None:
        return None
    return Ledger(identity, int(mark or 0), int(turn or 0), int(rows or 0))


def _receipt(charge: Charge, moment: int, granted: bool, sums: list[str]) -> Receipt:
    told = [one.removesuffix("!").split() for one in sums]
    before = [int(rows) for rows, _ in told]
    raised = tuple(int(more) for _, more in told)
    opened = raised if any(raised) else ()
    if not granted:
        refused = tuple(at for at, one in enumerate(sums) if one.endswith("!"))
        return Receipt(False, moment, tuple(before), refused, opened)
    lines = zip(charge.lines, before, strict=True)
    after = tuple(rows + charge.added[one.subject] for one, rows in lines)
    return Receipt(True, moment, after, opened=opened)
