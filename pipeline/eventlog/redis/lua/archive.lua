#!lua name=rhapsode_archive2
-- What the archive tells the log. Nothing expires and nothing is trimmed before its copy was read back.
-- All of it works on a server whose memory is full: this is how room is made. Such a server evicts whatever has
-- a TTL before each command, so nothing here that must stay has one.
--
-- KEYS  1 facts stream   2 meta hash   3 trigger stream   4 audio stream   5 live sessions   6 sessions with work
--       7 intents: sessions whose files are being written or erased, by the time since when   8 the archive's lease
-- meta  (beside what append.lua keeps)  ar: the last fact that is in the archive; ac: the chain there

local function server_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The lease is 'who until', until when in ms on this server's clock. One of ea1 is 'who' alone, and expires.
local function holder_of(key)
  local lease = redis.call('GET', key)
  if not lease then return nil end
  local who, ends = string.match(lease, '^(.*) (%d+)$')
  return who or lease, ends and tonumber(ends) or math.huge
end

-- ARGV 1 session  2 who  3 lease, ms  4 now, ms. The intent outlives whoever dies before `settle`, and a
-- second one is not settled together with the first.
local function begin(keys, args)
  local call, now = redis.call, tonumber(args[4])
  local holder, ends = holder_of(keys[8])
  local since = tonumber(call('ZSCORE', keys[7], args[1]) or '0')
  if holder and holder ~= args[2] and ends > server_ms() then
    call('ZADD', keys[7], string.format('%.0f', math.max(now, since + 1)), args[1])
    return {'BUSY'}
  end
  call('SET', keys[8], args[2] .. ' ' .. string.format('%.0f', server_ms() + tonumber(args[3])))
  call('ZADD', keys[7], string.format('%.0f', math.max(now, since)), args[1])
  return {'OK', unpack(call('HMGET', keys[2], 'seq', 'ar', 'ac', 'st', 'ts', 'by'))}
end

-- ARGV 1 session  2 who  3 the time given to `begin`
local function settle(keys, args)
  if holder_of(keys[8]) == args[2] then redis.call('DEL', keys[8]) end
  if tonumber(redis.call('ZSCORE', keys[7], args[1]) or '0') > tonumber(args[3]) then return 0 end
  return redis.call('ZREM', keys[7], args[1])
end

-- ARGV 1 session  2 who  3 first  4 last  5 chain  6 seconds that archived facts stay  7 and the meta
local function archived(keys, args)
  local meta = redis.call('HMGET', keys[2], 'seq', 'st', 'ar', 'ac')
  if not meta[1] then return {'NOSESSION', 0} end
  if meta[2] == 'deleted' then return {'GONE', 0} end
  local seq, before = tonumber(meta[1]), tonumber(meta[3] or '0')
  local first, last = tonumber(args[3]), tonumber(args[4])
  if last <= before then
    return {(last == before and meta[4] ~= args[5]) and 'DIFFERS' or 'DUP', before}
  end
  if last > seq then return {'AHEAD', before} end
  local holder, ends = holder_of(keys[8])
  if first ~= before + 1 or holder ~= args[2] or ends < server_ms() then return {'CONFLICT', before} end
  redis.call('HSET', keys[2], 'ar', last, 'ac', args[5])
  if meta[2] == 'sealed' and last == seq then
    redis.call('HSET', keys[2], 'st', 'archived')
    redis.call('EXPIRE', keys[1], args[6])
    redis.call('EXPIRE', keys[4], args[6])
    redis.call('EXPIRE', keys[2], args[7])
  end
  return {'OK', last}
end

-- ARGV 1 session  2 facts that stay  3 bytes that stay, reckoned by the average of the session's facts.
-- Exact, not about: readers find the beginning where it was said to be.
local function trim(keys, args)
  local meta = redis.call('HMGET', keys[2], 'seq', 'ar', 'by')
  if not meta[1] or not meta[2] then return 0 end
  local seq, size = tonumber(meta[1]), math.max(1, tonumber(meta[3] or '1'))
  local stay = math.min(tonumber(args[2]), math.floor(tonumber(args[3]) * seq / size))
  local first = math.min(tonumber(meta[2]), seq - stay) + 1
  if first <= 1 then return 0 end
  redis.call('XTRIM', keys[4], 'MINID', first .. '-0')
  return redis.call('XTRIM', keys[1], 'MINID', first .. '-0')
end

-- ARGV 1 session  2 seq  3 generation  4 seconds. A tombstone for a session that only the archive remembers.
local function bury(keys, args)
  if redis.call('EXISTS', keys[2]) == 1 then return 0 end
  redis.call('HSET', keys[2], 'st', 'deleted', 'seq', args[2], 'gen', args[3])
  redis.call('EXPIRE', keys[2], args[4])
  redis.call('XADD', keys[3], '*', 's', args[1], 'q', args[2], 't', 'session.deleted')
  return 1
end

-- KEYS 1 a number that grows with each call: a replica that has it has what was written before
local function mark(keys, args)
  return redis.call('INCR', keys[1])
end

redis.register_function{function_name = 'ea2_begin', callback = begin, flags = {'allow-oom'}}
redis.register_function{function_name = 'ea2_settle', callback = settle, flags = {'allow-oom'}}
redis.register_function{function_name = 'ea2_archived', callback = archived, flags = {'allow-oom'}}
redis.register_function{function_name = 'ea2_trim', callback = trim, flags = {'allow-oom'}}
redis.register_function{function_name = 'ea2_bury', callback = bury, flags = {'allow-oom'}}
redis.register_function{function_name = 'ea2_mark', callback = mark, flags = {'allow-oom'}}
