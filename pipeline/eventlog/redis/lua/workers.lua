#!lua name=rhapsode_workers3
-- What workers do in one step. Every function may be sent twice: the second time it finds its work done.
-- All keys of a call belong to one partition, but those of fetch, claim and lease: to partitions that share a server.

-- The writes that effects and projections may ask for.
local ALLOWED = {HSET = true, HDEL = true, HINCRBY = true, ZADD = true, ZREM = true, DEL = true, EXPIRE = true}

-- `changes`, msgpack: lists of command, place of its key among KEYS, further arguments. No rollback: look first.
local function write(keys, packed)
  if packed == '' then return end
  local changes = cmsgpack.unpack(packed)
  for _, change in ipairs(changes) do
    assert(ALLOWED[change[1]] and keys[change[2]], 'this write is not allowed')
  end
  for _, change in ipairs(changes) do
    redis.call(change[1], keys[change[2]], unpack(change, 3))
  end
end

local function fields_of(entry)
  local flat, fields = entry[2], {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- How often it was delivered, if it is pending with this consumer.
local function mine(triggers, group, consumer, id)
  local found = redis.call('XPENDING', triggers, group, id, id, 1)[1]
  return found and found[2] == consumer and found[4] or nil
end

local function first_seen(id)
  return string.match(id, '^%d+')
end

-- ------------------------------------------------------------ groups: KEYS 1 triggers; ARGV 1 group  2 consumer

local ROUNDS = 64

local function is_without_group(reply)
  return reply and reply.err and string.find(reply.err, 'NOGROUP')
end

-- KEYS trigger streams; ARGV 1 consumer  2 msgpack: lists of group, how many about, types.
-- For each group: 1 where there may be more, and entries (id, fields, place of the stream among KEYS) of its types
-- or for it alone. All others are done with. A group that is missing is made, and begins with the oldest pointer.
local function fetch(keys, args)
  local place, reply = {}, {}
  for i, triggers in ipairs(keys) do place[triggers] = i end
  for _, wish in ipairs(cmsgpack.unpack(args[2])) do
    local group, count, wanted, found, more = wish[1], wish[2], {}, {}, 1
    for _, kind in ipairs(wish[3]) do wanted[kind] = true end
    local words = {'GROUP', group, args[1], 'COUNT', math.max(1, math.floor(count / #keys)), 'STREAMS', unpack(keys)}
    for _ = 1, #keys do words[#words + 1] = '>' end
    for _ = 1, ROUNDS do
      local read = redis.pcall('XREADGROUP', unpack(words))
      if is_without_group(read) then
        for _, triggers in ipairs(keys) do redis.pcall('XGROUP', 'CREATE', triggers, group, '0', 'MKSTREAM') end
        read = redis.pcall('XREADGROUP', unpack(words))
      end
      if not read then more = 0 break end
      if read.err then return read end
      for _, stream in ipairs(read) do
        for _, entry in ipairs(stream[2]) do
          local f = fields_of(entry)
          if wanted[f.t] and (f.g or group) == group then
            found[#found + 1] = {entry[1], entry[2], place[stream[1]]}
          else
            redis.call('XACK', stream[1], group, entry[1])
          end
        end
      end
      if #found >= count then break end
    end
    reply[#reply + 1] = {more, found}
  end
  return reply
end

-- KEYS trigger streams; ARGV 3 idle for so many ms  4 at most of each. Entries (id, fields, deliveries, place of
-- the stream among KEYS), and how many were trimmed before they were done with. A stream without the group has none.
local function claim(keys, args)
  local found, lost = {}, 0
  for place, triggers in ipairs(keys) do
    local left, cursor = tonumber(args[4]), '0-0'
    repeat
      local reply = redis.pcall('XAUTOCLAIM', triggers, args[1], args[2], args[3], cursor, 'COUNT', left)
      if reply.err then
        if not is_without_group(reply) then return reply end
        break
      end
      cursor, lost = reply[1], lost + #(reply[3] or {})
      for _, entry in ipairs(reply[2]) do
        found[#found + 1] = {entry[1], entry[2], mine(triggers, args[1], args[2], entry[1]), place}
        left = left - 1
      end
    until cursor == '0-0' or left <= 0
  end
  return {found, lost}
end

-- ARGV 3... entries that are still being worked on; returns those that are somebody else's by now
local function beat(keys, args)
  local lost = {}
  for i = 3, #args do
    if mine(keys[1], args[1], args[2], args[i]) then
      redis.call('XCLAIM', keys[1], args[1], args[2], 0, args[i], 'JUSTID')
    else
      lost[#lost + 1] = args[i]
    end
  end
  return lost
end

-- ARGV 3 entry; counts one more delivery. 0: it is not ours any more.
local function again(keys, args)
  local times = mine(keys[1], args[1], args[2], args[3])
  if not times then return 0 end
  local claimed = redis.call('XCLAIM', keys[1], args[1], args[2], 0, args[3])
  return #claimed > 0 and times + 1 or 0
end

-- KEYS 2... what is written; ARGV 3 entry  4 changes
local function effect(keys, args)
  if not mine(keys[1], args[1], args[2], args[3]) then return 0 end
  write(keys, args[4])
  redis.call('XACK', keys[1], args[1], args[3])
  return 1
end

-- KEYS 2 dead letters; ARGV 3 entry  4 error
local function bury(keys, args)
  local id = args[3]
  local times = mine(keys[1], args[1], args[2], id)
  if not times then return 0 end
  local entry = redis.call('XRANGE', keys[1], id, id)[1]
  if entry then
    local f = fields_of(entry)
    redis.call('XADD', keys[2], '*', 'k', 'effect', 'g', args[1], 's', f.s, 'q', f.q, 't', f.t,
      'e', args[4], 'n', times, 'f', first_seen(id))
  end
  redis.call('XACK', keys[1], args[1], id)
  return 1
end

-- Whatever this consumer holds may be claimed at once, and does not count as tried.
local function leave(keys, args)
  local held = redis.call('XPENDING', keys[1], args[1], '-', '+', 1000, args[2])
  for _, one in ipairs(held) do
    redis.call('XCLAIM', keys[1], args[1], args[2], 0, one[1], 'IDLE', 86400000,
      'RETRYCOUNT', math.max(0, one[4] - 1), 'JUSTID')
  end
  if #held == 0 then redis.call('XGROUP', 'DELCONSUMER', keys[1], args[1], args[2]) end
  return #held
end

-- ARGV 2 idle for so many ms. A consumer with pending entries stays: deleting it would lose them.
local function sweep(keys, args)
  local swept = 0
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', keys[1], args[1])) do
    local about = fields_of({0, flat})
    if about.pending == 0 and about.idle > tonumber(args[2]) then
      redis.call('XGROUP', 'DELCONSUMER', keys[1], args[1], about.name)
      swept = swept + 1
    end
  end
  return swept
end

-- ------------------------------------------------------------ projections: KEYS 1 checkpoint

-- KEYS checkpoint, names of the projections, and so on for each partition; ARGV 1 projection  2 reader  3 ms.
-- Of each partition: epoch (0: somebody else's), place, rebuild?
local function lease(keys, args)
  local time, reply = redis.call('TIME'), {}
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local till = string.format('%d', now + tonumber(args[3]))
  for i = 1, #keys, 2 do
    local is = redis.call('HMGET', keys[i], 'own', 'until', 'ep', 'id', 're')
    if is[1] and is[1] ~= args[2] and tonumber(is[2]) > now then
      reply[#reply + 1] = {0, '', ''}
    else
      local epoch = tonumber(is[3] or '0')
      if is[1] ~= args[2] then
        epoch = epoch + 1
        redis.call('SADD', keys[i + 1], args[1])
      end
      redis.call('HSET', keys[i], 'own', args[2], 'until', till, 'ep', epoch)
      reply[#reply + 1] = {epoch, is[4] or '0-0', is[5] or ''}
    end
  end
  return reply
end

-- ARGV 1 reader. The name of a reader stays, so that the next one takes the next epoch.
local function release(keys, args)
  if redis.call('HGET', keys[1], 'own') ~= args[1] then return 0 end
  redis.call('HSET', keys[1], 'until', 0)
  return 1
end

-- KEYS 2 dead letters  3 parked sessions  4... what is written
-- ARGV 1 epoch  2 from  3 to  4 projection  5 changes  6 new letters  7 freed sessions with their letters  8 '1': rebuilt
local function advance(keys, args)
  local is = redis.call('HMGET', keys[1], 'ep', 'id')
  local at = is[2] or '0-0'
  if is[1] ~= args[1] then return 0 end
  if at == args[3] and args[2] ~= args[3] then return 1 end
  if at ~= args[2] then return 0 end
  write(keys, args[5])
  for _, letter in ipairs(cmsgpack.unpack(args[6])) do
    local id, session, seq, kind, error, times = unpack(letter)
    redis.call('XADD', keys[2], '*', 'k', 'projection', 'g', args[4], 's', session, 'q', seq, 't', kind,
      'e', error, 'n', times, 'f', first_seen(id))
    redis.call('HINCRBY', keys[3], session, 1)
  end
  for _, freed in ipairs(cmsgpack.unpack(args[7])) do
    if #freed > 1 then redis.call('XDEL', keys[2], unpack(freed, 2)) end
    redis.call('HDEL', keys[3], freed[1])
  end
  redis.call('HSET', keys[1], 'id', args[3])
  if args[8] == '1' then redis.call('HDEL', keys[1], 're') end
  return 1
end

-- ------------------------------------------------------------ dead letters: KEYS 1 dead letters; ARGV 1 letter

-- KEYS 2 triggers. A pointer with 'g' is for that reader alone. A projection takes its letters away itself.
local function retry(keys, args)
  local entry = redis.call('XRANGE', keys[1], args[1], args[1])[1]
  if not entry then return 0 end
  local f = fields_of(entry)
  redis.call('XADD', keys[2], '*', 's', f.s, 'q', f.q, 't', f.t, 'g', f.g)
  if f.k == 'effect' then redis.call('XDEL', keys[1], args[1]) end
  return 1
end

-- KEYS 2 parked sessions of the letter's projection
local function drop(keys, args)
  local entry = redis.call('XRANGE', keys[1], args[1], args[1])[1]
  if not entry then return 0 end
  local f = fields_of(entry)
  redis.call('XDEL', keys[1], args[1])
  if f.k == 'projection' and redis.call('HINCRBY', keys[2], f.s, -1) <= 0 then
    redis.call('HDEL', keys[2], f.s)
  end
  return 1
end

-- ------------------------------------------------------------ numbers

-- KEYS 1 triggers; ARGV 1 after this entry  2 count to here
local function behind(keys, args)
  return #redis.call('XRANGE', keys[1], '(' .. args[1], '+', 'COUNT', args[2])
end

-- KEYS 1 dead letters; ARGV 1 look at so many. Group, letters, group, letters ...
local function dead(keys, args)
  local count, reply = {}, {}
  for _, entry in ipairs(redis.call('XRANGE', keys[1], '-', '+', 'COUNT', args[1])) do
    local group = fields_of(entry).g
    count[group] = (count[group] or 0) + 1
  end
  for group, letters in pairs(count) do
    reply[#reply + 1] = group
    reply[#reply + 1] = letters
  end
  return reply
end

redis.register_function('ew3_fetch', fetch)
redis.register_function('ew3_claim', claim)
redis.register_function('ew3_beat', beat)
redis.register_function('ew3_again', again)
redis.register_function('ew3_effect', effect)
redis.register_function('ew3_bury', bury)
redis.register_function{function_name = 'ew3_leave', callback = leave, flags = {'allow-oom'}}
redis.register_function{function_name = 'ew3_sweep', callback = sweep, flags = {'allow-oom'}}
redis.register_function('ew3_lease', lease)
redis.register_function{function_name = 'ew3_release', callback = release, flags = {'allow-oom'}}
redis.register_function('ew3_advance', advance)
redis.register_function('ew3_retry', retry)
redis.register_function{function_name = 'ew3_drop', callback = drop, flags = {'allow-oom'}}
redis.register_function{function_name = 'ew3_behind', callback = behind, flags = {'no-writes'}}
redis.register_function{function_name = 'ew3_dead', callback = dead, flags = {'no-writes'}}
