"""What runs inside the Redis server: each script is one look-up or one write, atomic, in one round trip.

Rules of this file
1. Every script is declared as one that writes, readers too: the server then refuses it on a replica, and on a primary
   without the replicas it must have, so that nobody reads where a revocation may not have arrived.
2. Every script first asks whether this is still the store that was opened; every answer begins with the asker's own
   word and the number of writes so far.
3. A script that could fail half-way looks at everything before it writes. Fields are added or moved on, never removed.
4. What is damaged is told by its place, and ends nothing else.

Keys: `store` is a hash of schema, id, writes. `ids` is the set of all ids. A Consent is a hash: `last` and, by
version, each text with what belongs to it. A term is a hash: by id, the last version that was filed under it.
"""

import hashlib
from typing import Final

import msgspec


class Script(msgspec.Struct, frozen=True):
    """One script: its text, and the digest by which a server knows it."""

    text: str
    sha: str


def _script(body: str, flags: str = "") -> Script:
    text = f"#!lua{flags}\n{body.strip()}\n"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


# KEYS[1] is the store, ARGV[1] the asker's word, ARGV[2] the id of the store that was opened.
_SAME: Final = """
local store = redis.call('HMGET', KEYS[1], 'id', 'writes')
if store[1] ~= ARGV[2] or not tonumber(store[2]) then
  return redis.error_reply('LOST another store')
end
"""
_READS: Final = " flags=allow-oom"

OPEN: Final = _script(
    """
local store = redis.call('HMGET', KEYS[1], 'schema', 'id', 'writes')
if store[1] then return store end
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return redis.error_reply('LOST no mark') end
redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'id', ARGV[2], 'writes', 0)
return {ARGV[1], ARGV[2], '0'}
"""
)
"""KEYS store, ids; ARGV schema, a fresh id. Gives schema, id and writes of the store, made where nothing is."""

FIND: Final = _script(
    _SAME
    + """
local prefix, with_texts = ARGV[3], ARGV[4] == '1'
local found, texts, seen = {}, {}, {}

local function standing(id, version)
  local last = redis.pcall('HGET', prefix .. id, 'last')
  if last == version then return 'current' end
  local later = type(last) == 'string' and tonumber(last) and tonumber(version) and tonumber(last) > tonumber(version)
  return later and redis.call('HEXISTS', prefix .. id, last) == 1 and 'moved' or 'damaged'
end

local function add_text(id, version, how)
  if seen[id .. ' ' .. version] then return end
  seen[id .. ' ' .. version] = true
  local text = how == 'current' and redis.pcall('HGET', prefix .. id, version)
  table.insert(texts, type(text) == 'string' and text or '')
end

local function listed(filed)
  if filed.err then return false end
  for at = 1, #filed, 2 do
    if string.find(filed[at], '[^%w%-%.]') or string.find(filed[at + 1], '%D') then return false end
  end
  local mine = {}
  for at = 1, #filed, 2 do
    local id, version = filed[at], filed[at + 1]
    local how = standing(id, version)
    if how ~= 'moved' then
      table.insert(mine, id)
      table.insert(mine, version)
      if with_texts then add_text(id, version, how) end
    end
  end
  return table.concat(mine, ' ')
end

for place = 2, #KEYS do table.insert(found, listed(redis.pcall('HGETALL', KEYS[place]))) end
return {ARGV[1], store[2], found, texts}
""",
    _READS,
)
"""KEYS store, terms; ARGV word, id, prefix of a Consent's key, `1` for the texts too. Gives, for each term, its ids
and versions (nil where the term is damaged); then, of each Consent where it first stands there, the text ("" where
there is none). Few long answers, since the client's time goes by their number."""

LAST: Final = _script(
    _SAME
    + """
local last = redis.call('HGET', KEYS[2], 'last')
if not last and (redis.call('EXISTS', KEYS[2]) == 1 or redis.call('SISMEMBER', KEYS[3], ARGV[3]) == 1) then
  return redis.error_reply('DAMAGED no last version')
end
local version = ARGV[4]
if version == '' then version = last or '' end
return {ARGV[1], store[2], last or '', version, redis.call('HGET', KEYS[2], version)}
""",
    _READS,
)
"""KEYS store, the Consent, ids; ARGV word, id, id of the Consent, a version or "" for the last one. Gives the last
version, the one asked for, and its text (nil where there is none)."""

WALK: Final = _script(
    _SAME
    + """
local page = redis.call('SSCAN', KEYS[2], ARGV[4], 'COUNT', 500)
local texts = {}
for _, id in ipairs(page[2]) do
  local last = redis.pcall('HGET', ARGV[3] .. id, 'last')
  if type(last) ~= 'string' then last = '' end
  local text = redis.pcall('HGET', ARGV[3] .. id, last)
  if type(text) ~= 'string' then text = '' end
  table.insert(texts, id)
  table.insert(texts, last)
  table.insert(texts, text)
end
return {ARGV[1], store[2], page[1], texts}
""",
    _READS,
)
"""KEYS store, ids; ARGV word, id, prefix of a Consent's key, cursor. Gives the next cursor, then id, last version and
text of some of all Consents; each stands at least once when the cursor is 0 again."""

PUT: Final = _script(
    _SAME
    + """
local last = redis.call('HGET', KEYS[2], 'last')
if (last or '') ~= ARGV[4] then return {ARGV[1], store[2], 0} end
if redis.call('HEXISTS', KEYS[2], ARGV[5]) == 1 then return redis.error_reply('DAMAGED a later version') end
for place = 4, #KEYS do
  local kind = redis.call('TYPE', KEYS[place]).ok
  if kind ~= 'hash' and kind ~= 'none' then return redis.error_reply('DAMAGED a term') end
end
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[5], ARGV[6], 'last', ARGV[5])
for place = 4, #KEYS do redis.call('HSET', KEYS[place], ARGV[3], ARGV[5]) end
return {ARGV[1], redis.call('HINCRBY', KEYS[1], 'writes', 1), 1}
"""
)
"""KEYS store, the Consent, ids, terms; ARGV word, id, id of the Consent, the version that must be the last ("" for
none), the new version, its text. Gives 1 where it was written, 0 where another version is the last."""
