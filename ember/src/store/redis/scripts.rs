//! What must be one step on the server, in Lua. Each touches one key only, so that it works in a
//! cluster, and is sent whole: a server that was restarted has forgotten those it knew.

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
