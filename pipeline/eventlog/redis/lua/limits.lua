#!lua name=rhapsode_limits3
-- How much each principal may still ask for: the generic cell rate algorithm, on this server's clock.
-- A bucket is two numbers: the microsecond at which everything taken from it will have come back, and that at
-- which this was written. Where the clock was set back since, both are moved with it, for a refusal too: nobody
-- waits for that.
--
-- KEYS  the buckets, of one partition
-- ARGV  1 '1': take it even if it is not there, the debt is waited off later; less than nothing is given back
--       then of each bucket: what is taken, and how much may be taken at once, both in microseconds of waiting
-- Returns which bucket (from 1) has too little, and the microseconds until it has enough; 0, 0: taken from all.
local function take(keys, args)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local due, which, wait = {}, 0, 0
  for i = 1, #keys do
    local back, taken = string.match(redis.call('GET', keys[i]) or '0 0', '^(%d+) (%d+)$')
    local before, ahead = tonumber(back), tonumber(taken) - now
    if ahead > 0 then
      before = math.max(0, before - ahead)
      redis.call('SET', keys[i], string.format('%.0f %.0f', before, now), 'KEEPTTL')
    end
    due[i] = math.max(now, before) + tonumber(args[2 * i])
    local early = due[i] - now - tonumber(args[2 * i + 1])
    if early > wait then which, wait = i, early end
  end
  if which > 0 and args[1] ~= '1' then return {which, math.ceil(wait)} end
  for i = 1, #keys do
    local kept = math.max(0, math.ceil((due[i] - now) / 1000)) + 1
    redis.call('SET', keys[i], string.format('%.0f %.0f', math.max(0, due[i]), now), 'PX', kept)
  end
  return {0, 0}
end

redis.register_function('limit3_take', take)
