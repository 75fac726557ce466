#!lua name=rhapsode2
-- The only way into the log. Lua has no rollback: every check comes before the first write.
-- Each redis.call and each number made into a string costs about as much as an XADD itself: few of both.
--
-- KEYS  1 facts stream   2 meta hash, whose name is the push channel too   3 trigger stream   4 audio stream
--       5 live sessions   6 sessions with work
-- ARGV  1 session  2 producer  3 number  4 epoch (0: not an owner)  5 expected seq (-1: any)  6 mode  7 generation
--       8 size in bytes  9 most bytes of the session (0: no limit)  10 '1': the push carries the facts
--       11 the facts, msgpack: of each type, version, ts, turn, cause, data, audio, '1' for a trigger; all strings
-- meta  seq, ts and by (bytes) of the session so far; ep and op: the highest epoch and the producer it belongs to;
--       st: sealed, archived or deleted; gen; wk: turns that are not over, and wishes to end; lv: ts of the last ZADD to the live sessions;
--       b:<producer> = number:first:last of that producer's latest batch
local LIVE_REFRESH_MS = 1000
-- What makes work for an owner, and what ends it. Only triggers are looked up.
local WORK = {['turn.requested'] = 1, ['session.end_requested'] = 1,
  ['turn.completed'] = -1, ['turn.stopped'] = -1, ['turn.failed'] = -1}

local function already_sent(latest, number, seq)
  local n = latest and tonumber(string.match(latest, '^%d+')) or 0
  if number == n + 1 then return nil end
  if number > n then return {'PGAP', n, seq} end
  if number < n then return {'STALE', n, seq} end
  local first, last = string.match(latest, ':(%d+):(%d+)$')
  return {'DUP', tonumber(first), tonumber(last)}
end

local function refused(meta, args, seq)
  local state, mode, epoch = meta[4], args[6], tonumber(args[4])
  if state == 'deleted' then return {'GONE', 0, seq} end
  if not meta[1] and mode ~= 'create' then return {'NOSESSION', 0, 0} end
  local sent = already_sent(meta[8], tonumber(args[3]), seq)
  if sent then return sent end
  if state then return {'SEALED', seq, seq} end
  local highest = tonumber(meta[2] or '0')
  if epoch > 0 and (epoch < highest or (epoch == highest and meta[3] ~= args[2])) then
    return {'FENCED', highest, seq}
  end
  if (args[5] ~= '-1' and tonumber(args[5]) ~= seq) or (mode == 'create' and meta[1]) then
    return {'CONFLICT', seq, seq}
  end
  local quota = tonumber(args[9])
  if quota > 0 and tonumber(meta[7] or '0') + tonumber(args[8]) > quota then return {'QUOTA', seq, seq} end
  return nil
end

-- Returns the last fact's ts: time never runs backwards within a session; and how much work came or went.
local function write_facts(keys, session, facts, seq, ts)
  local call, stream, latest, work = redis.call, keys[1], tonumber(ts), 0
  for i = 1, #facts do
    seq = seq + 1
    local type, v, stamp, turn, cause, data, audio, trigger = unpack(facts[i])
    local id, time = seq .. '-0', tonumber(stamp)
    if time >= latest then ts, latest = stamp, time end
    if cause == '' then
      call('XADD', stream, id, 't', type, 'v', v, 'ts', ts, 'n', turn, 'd', data)
    else
      call('XADD', stream, id, 't', type, 'v', v, 'ts', ts, 'n', turn, 'd', data, 'c', cause)
    end
    if audio ~= '' then call('XADD', keys[4], id, 'b', audio) end
    if trigger == '1' then
      call('XADD', keys[3], '*', 's', session, 'q', seq, 't', type)
      work = work + (WORK[type] or 0)
    end
  end
  return ts, work
end

-- The sixth key is what whoever looks for abandoned sessions reads, so it holds only those with work.
local function write_work(keys, args, meta, change, ts)
  local call, before = redis.call, tonumber(meta[9] or '0')
  local work = args[6] == 'seal' and 0 or math.max(0, before + change)
  if work == before then return end
  call('HSET', keys[2], 'wk', work)
  if work == 0 then call('ZREM', keys[6], args[1]) else call('ZADD', keys[6], ts, args[1]) end
end

local function write_meta(keys, args, meta, span, last, ts)
  local call, epoch = redis.call, tonumber(args[4])
  call('HSET', keys[2], 'seq', last, 'ts', ts, 'by', tonumber(meta[7] or '0') + tonumber(args[8]),
    'b:' .. args[2], args[3] .. ':' .. span)
  if not meta[1] then call('HSET', keys[2], 'gen', args[7]) end
  if epoch > tonumber(meta[2] or '0') then call('HSET', keys[2], 'ep', args[4], 'op', args[2]) end
  if args[6] == 'seal' then
    call('HSET', keys[2], 'st', 'sealed')
    call('ZREM', keys[5], args[1])
  elseif not meta[6] or tonumber(ts) - tonumber(meta[6]) >= LIVE_REFRESH_MS then
    call('HSET', keys[2], 'lv', ts)
    call('ZADD', keys[5], ts, args[1])
  end
end

local function append(keys, args)
  local meta = redis.call('HMGET', keys[2], 'seq', 'ep', 'op', 'st', 'ts', 'lv', 'by', 'b:' .. args[2], 'wk')
  local seq = tonumber(meta[1] or '0')
  local facts = cmsgpack.unpack(args[11])
  if #facts == 0 then return {'OK', 0, seq} end
  local no = refused(meta, args, seq)
  if no then return no end
  local before = meta[5] or '0'
  local first, last = seq + 1, seq + #facts
  local span = first .. ':' .. last
  local ts, work = write_facts(keys, args[1], facts, seq, before)
  write_meta(keys, args, meta, span, last, ts)
  if work ~= 0 or (args[6] == 'seal' and meta[9]) then write_work(keys, args, meta, work, ts) end
  local carried = args[10] == '1' and args[11] or ''
  redis.call('SPUBLISH', keys[2], span .. ':' .. before .. '\n' .. carried)
  return {'OK', first, last}
end

-- KEYS as above; ARGV 1 session  2 seconds that the tombstone stays
local function delete(keys, args)
  local meta = redis.call('HMGET', keys[2], 'seq', 'gen', 'st')
  if not meta[1] or meta[3] == 'deleted' then return 0 end
  redis.call('UNLINK', keys[1], keys[4], keys[2])
  redis.call('HSET', keys[2], 'st', 'deleted', 'seq', meta[1], 'gen', meta[2] or '')
  redis.call('EXPIRE', keys[2], args[2])
  redis.call('ZREM', keys[5], args[1])
  redis.call('ZREM', keys[6], args[1])
  redis.call('XADD', keys[3], '*', 's', args[1], 'q', meta[1], 't', 'session.deleted')
  return 1
end

-- KEYS 1 lease; ARGV 1 owner  2 milliseconds
local function acquire(keys, args)
  local holder = redis.call('GET', keys[1])
  if holder and holder ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[1], 'PX', args[2])
  return 1
end

-- KEYS 1 lease; ARGV 1 owner
local function release(keys, args)
  if redis.call('GET', keys[1]) ~= args[1] then return 0 end
  return redis.call('DEL', keys[1])
end

redis.register_function('ev2_append', append)
redis.register_function{function_name = 'ev2_delete', callback = delete, flags = {'allow-oom'}}
redis.register_function('ev2_acquire', acquire)
redis.register_function{function_name = 'ev2_release', callback = release, flags = {'allow-oom'}}
