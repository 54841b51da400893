//! What must be one step on the server, in Lua. Each touches keys of one slot only, so that it
//! works in a cluster, and is sent whole: a server that was restarted has forgotten those it knew.

/// `KEYS[1]`, whether something is expected, what is expected, the value, milliseconds or 0.
pub(super) const COMPARE_AND_SET: &str = "
local present = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
  if present then return 0 end
elseif present ~= ARGV[2] then
  return 0
end
if ARGV[4] == '0' then
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return 1";

/// `KEYS[1]`, milliseconds to hold, milliseconds to remember the token.
///
/// A token is the server's time in microseconds, or one more than the last: tokens grow also when
/// the server has forgotten everything. They stay below 2^53, which a number of Lua can count to.
pub(super) const LOCK: &str = "
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'token', 'until')
if held[2] and tonumber(held[2]) > micros then return 0 end
local token = micros
if held[1] and tonumber(held[1]) >= token then token = tonumber(held[1]) + 1 end
local ends = micros + ARGV[1] * 1000
redis.call('HSET', KEYS[1], 'token', string.format('%.0f', token), 'until', string.format('%.0f', ends))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token";

/// `KEYS[1]`, the token, milliseconds to hold (0 gives the lock back), milliseconds to remember the token.
pub(super) const RENEW: &str = "
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'token', 'until')
if held[1] ~= ARGV[1] or not held[2] or tonumber(held[2]) <= micros then return 0 end
local ends = 0
if ARGV[2] ~= '0' then ends = micros + ARGV[2] * 1000 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', ends))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1";

/// `KEYS[1]`, how much the bucket holds, microseconds to fill it or 0, `take`, `adjust` or `undo`, how much,
/// milliseconds to remember one that never fills or 0. What is done once has `KEYS[2]` as well, under
/// which it is remembered what was done, and for how many milliseconds.
///
/// The arithmetic is that of `store::draw`: what is missing is kept; whole ones grow, and the moment since
/// when the next one grows moves on by what they took, rounded up. What is kept is whole and below 2^53;
/// a product that is larger is rounded, and time is counted by what was given for it.
pub(super) const DRAW: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local capacity, period, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local missing, since = 0, now
local kept = redis.call('GET', KEYS[1])
if kept then
  local a, b = string.match(kept, '^(%d+) (%d+)$')
  if not a then return redis.error_reply('ERR what is kept under the key of a bucket is none') end
  missing, since = tonumber(a), tonumber(b)
  if missing > 0 and period > 0 and capacity > 0 and now > since then
    local periods = math.floor((now - since) / period)
    local rest = now - since - periods * period
    local grown = math.floor(rest * capacity / period)
    missing = missing - periods * capacity - grown
    since = since + periods * period + math.ceil(grown * period / capacity)
  end
  if missing <= 0 then missing, since = 0, now end
end
local before = KEYS[2] and redis.call('GET', KEYS[2])
local taken, changed, done = 1, false, nil
if ARGV[3] == 'undo' then
  if before ~= '0' then done = '0' end
  if before and done then
    missing = math.max(missing - tonumber(before), 0)
    changed = true
  end
elseif before then
  if ARGV[3] == 'take' and before == '0' then taken = 0 end
elseif ARGV[3] == 'adjust' then
  missing = math.min(math.max(missing - amount, 0), 9007199254740991)
  changed, done = amount ~= 0, '0'
elseif amount == 0 then
  if missing > capacity then taken = 0 end
elseif amount <= capacity - missing then
  missing = missing + amount
  changed, done = true, ARGV[4]
else
  taken = 0
end
if changed then
  if missing == 0 then
    redis.call('DEL', KEYS[1])
  else
    local value = string.format('%.0f %.0f', missing, since)
    local ttl = tonumber(ARGV[5])
    if period > 0 then ttl = math.min(math.ceil(missing / capacity * period / 1000) + 1000, 31536000000000) end
    if ttl > 0 then
      redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', ttl))
    else
      redis.call('SET', KEYS[1], value)
    end
  end
end
if done and KEYS[2] then redis.call('SET', KEYS[2], done, 'PX', ARGV[6]) end
return {taken, string.format('%.0f', capacity - missing), string.format('%.0f', math.max(now - since, 0))}";
