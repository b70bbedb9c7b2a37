"""Entries in a Redis that may be replaced by its replica: a Cluster's, or one behind Sentinels.

A replica takes over without the last writes of its master, so an outdating may be lost, and
nobody's connection need break for it. So each entry carries its *era*, by which Redis itself
tells whether it still is the one that was told everything:

- A node's era is its replication id, which is a new one after a promotion and after a restart.
  An entry counts in the era that it was put in, and is put in the era that was read before the
  database was. What an era lost was never trusted in the next one.
- A master that was cut off may have been replaced without knowing it. It is trusted while
  each of its replicas has spoken within LAG_SECONDS; to be replaced takes longer than that
  (`cluster-node-timeout`, `down-after-milliseconds`: at least 3 s, both are more by default). So
  a master that has lost its replica is asked in vain, until it has one again.
- An outdating may be lost before its commit, too: one that was told long before is told again after
  the commit (cache.py).

What is left: a master that stood still until it was replaced, and answers in the first moment
after, before it has heard of it, to who had asked within that second.
"""

import threading
from collections.abc import Sequence
from typing import Any

import redis

LAG_SECONDS = 2  # in whole seconds, as Redis tells it: less than three

# A number that Lua holds exactly: 48 bits of the replication id.
ERA = """
local function era()
  local told = redis.call('INFO', 'replication')
  local id = string.match(told, 'role:master.*master_replid:(%x%x%x%x%x%x%x%x%x%x%x%x)')
  return told, id and string.format('%.0f', tonumber(id, 16))
end
"""
# KEYS: of one account. The era, whether this node surely is the master, the entries.
READ = (
    ERA
    + f"""
local told, now = era()
if not now then return redis.error_reply('READONLY No longer the master.') end
local replicas, sure = 0, 1
for lag in string.gmatch(told, 'state=online,[^\\r\\n]*lag=(%d+)') do
  replicas = replicas + 1
  if tonumber(lag) > {LAG_SECONDS} then sure = 0 end
end
if replicas == 0 then sure = 0 end
return {{now, sure, unpack(redis.call('MGET', unpack(KEYS)))}}
"""
)
# As cache.py's PUT; a value is put in its own era alone.
PUT = (
    ERA
    + """
local _, now = era()
for i, key in ipairs(KEYS) do
  local version, rest, lifetime = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local held = redis.call('GET', key)
  local known = held and tonumber(string.match(held, '^%d+')) or -1
  local is_late = rest ~= '' and string.match(rest, '^%d+') ~= now
  if not is_late and (tonumber(version) > known or (tonumber(version) == known and rest ~= '')) then
    if rest == '' then redis.call('DEL', key) end
    redis.call('SET', key, version .. ' ' .. rest, 'PX', lifetime)
  end
end
"""
)


class Eras:
    """Reads and puts entries (see cache.py, whose `as_of` is an era here). Thread-safe.

    Scripts go as text: who has just taken over knows none by its digest, and to load it is a call
    to every master, also to the one that is lost.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._thread = threading.local()

    def put(self, keys: Sequence[str], arguments: Sequence[Any]) -> None:
        """Versions, rests and lifetimes (ms), as cache.py's PUT. Raises RedisError."""
        self._client.eval(PUT, len(keys), *keys, *arguments)

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The entries that can be trusted if their `as_of` is `moment()`. Raises RedisError."""
        self._thread.era = 0
        era, is_sure, *entries = self._client.eval(READ, len(keys), *keys)
        self._thread.era = int(era)
        return entries if is_sure else [None] * len(keys)

    def moment(self) -> int:
        """The era of what this thread has read last; 0, in which nothing is put, if in vain."""
        return getattr(self._thread, "era", 0)
