import { PRELUDE, runOps } from './prelude.js';
import { script } from './script.js';

/**
 * All that is done to a semaphore, many operations per call.
 *
 * `KEYS = fence, (Z, queue, alive, limit key)…`, `ARGV = client, livenessMs, tag, (op, x, y, limit)…`; replies in the order of
 * the ops:
 *
 * | op | x, y | reply |
 * |---|---|---|
 * | `t` try | salt, lease | 16 digits: held, the fence of it · a whole number: full, ms until the next holder expires, -2: nobody holds it, but others wait |
 * | `q` take or queue | salt, lease | 16 digits · `[rank, ms until the next holder expires, '']`: queued |
 * | `r` release | token, keepMs | 1: released, or kept for so long · 0: not held · `['G', token…]`: released, and these waiters of the calling client hold it |
 * | `c` cancel | member, '' | 1: left the queue · 2: had been granted, is released · `['G', token…]`, as with `r` · 0: unknown |
 * | `p` poke | oldest own member, '' | `[rank or -1, ms, token or '', token…]`: the token if this member is a holder, and then the ms that are left of its lease, otherwise those until the next holder expires, -2: nobody holds it; then the waiters of the calling client that this poke has served |
 * | `n` renew | token, lease | 1: the lease starts anew · 0: not held |
 * | `i` inspect | '', '' | how many hold it |
 * | `t`, `q` | | `['L', limit]`: held or waited for with another limit |
 * | any | | `['E', message]`: this op has failed |
 *
 * It promises what the script of locks promises, of `limit` holders. Every op first removes the holders whose lease is over.
 * Places that are free go to the queue first. `limit key` holds the limit for as long as anybody holds or waits; where it is
 * missing, the limit that the op says counts.
 */
export const semaphoreScript = script(
  'semaphore',
  `
-- One try or acquire of a semaphore that nobody holds, or a release where nobody waits: usual cases, without what the others
-- need. Whatever is out of the ordinary, errors included, goes on below and is done from the beginning.
if #KEYS == 5 then
  local op, Z, queue = ARGV[4], KEYS[2], KEYS[3]
  local lease = tonumber(ARGV[6])
  if (op == 't' or op == 'q') and lease and redis.pcall('EXISTS', Z, queue) == 0 then
    local t = redis.call('TIME')
    local us = t[1] .. string.format('%06d', t[2])
    local old = redis.pcall('SET', KEYS[1], us, 'GET')
    if old == false or (type(old) == 'string' and #old == 16 and old < us) then
      if redis.pcall('SET', KEYS[5], ARGV[7], 'PX', lease).ok then
        redis.call('ZADD', Z, string.sub(us, 1, 13) + lease, us .. ARGV[5])
        redis.call('PEXPIRE', Z, lease)
        return { us }
      end
    elseif type(old) == 'string' then
      redis.call('SET', KEYS[1], old)
    end
  elseif op == 'r' and lease == 0 and redis.pcall('EXISTS', queue) == 0 then
    local till = redis.pcall('ZSCORE', Z, ARGV[5])
    if type(till) == 'string' then
      local t = redis.call('TIME')
      if tonumber(till) > t[1] * 1000 + t[2] / 1000 and redis.pcall('ZREM', Z, ARGV[5]) == 1 then return { 1 } end
    end
  end
end
${PRELUDE}
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

local function hold(Z, N, token, lease)
  redis.call('ZADD', Z, now + lease, token)
  keep(Z, lease)
  keep(N, lease)
end

-- Another end for the lease of a holder. PEXPIRE comes first: Redis refuses a script's ZADD while its memory is used up, but
-- not after a write that needs none.
local function hold_on(Z, N, token, lease)
  redis.call('PEXPIRE', Z, math.max(lease, redis.call('PTTL', Z)))
  hold(Z, N, token, lease)
end

local function remember(Z, N, limit, ms)
  redis.call('SET', N, limit, 'PX', math.max(tonumber(ms), redis.call('PTTL', Z)))
end

-- Gives the free places to the waiters that can be told. Puts the tokens of the calling client into 'own', where there is one.
-- Returns true if none is left, nil if a new caller may take what is left, otherwise false.
local function fill(Z, queue, alive, N, limit, own)
  local free = limit - redis.call('ZCARD', Z)
  local walk = walk_of(own)
  while free > 0 do
    local member, score = head(queue, alive, walk)
    if not member then return member end
    local token = up() .. string.sub(member, 11, 26)
    local lease = tonumber(string.sub(member, 27))
    free = free - 1
    if own and string.sub(member, 1, 10) == me then
      hold(Z, N, token, lease)
      own[#own + 1] = token
    elseif must_confirm(member) then
      hold(Z, N, token, math.min(lease, live))
      tell(member, 'd' .. token .. Z)
    else
      hold(Z, N, token, lease)
      local count = tell(member, 's' .. token .. Z)
      if not count then
        redis.call('ZADD', Z, now + math.min(lease, live), token)
      elseif count == 0 then
        redis.call('ZREM', Z, token)
        free = free + 1
        skip(queue, alive, walk, member, score)
      end
    end
  end
  return true
end

-- Ms until the next holder expires, -2 if nobody holds it.
local function left(Z)
  local first = redis.call('ZRANGE', Z, 0, 0, 'WITHSCORES')[2]
  return first and tonumber(first) - now or -2
end

-- The token of a holder with the salt of this waiter, and the ms that are left of its lease.
local function find(Z, member)
  local salt = string.sub(member, 11, 26)
  local holders = redis.call('ZRANGE', Z, 0, -1, 'WITHSCORES')
  for i = 1, #holders, 2 do
    if string.sub(holders[i], 17) == salt then return holders[i], tonumber(holders[i + 1]) - now end
  end
end

local function acquire(Z, queue, alive, N, salt, lease, asked, wait)
  local waits, held = redis.call('EXISTS', queue) == 1, redis.call('ZCARD', Z)
  local limit = (waits or held > 0) and tonumber(redis.call('GET', N))
  if limit and limit ~= tonumber(asked) then
    -- Those who wait with the other limit may all be gone.
    if held == 0 then fill(Z, queue, alive, N, limit, nil) end
    if redis.call('EXISTS', Z, queue) > 0 then return { 'L', limit } end
    waits, limit = false, nil
  end
  local kept = false
  if waits then
    kept = fill(Z, queue, alive, N, tonumber(asked), nil) == false
    held = redis.call('ZCARD', Z)
  end
  if held < tonumber(asked) and not kept then
    local digits = up()
    if not limit then remember(Z, N, asked, lease) end
    hold(Z, N, digits .. salt, tonumber(lease))
    return digits
  end
  if not wait then return left(Z) end
  local member = me .. salt .. lease
  redis.call('ZADD', queue, 'NX', up(), member)
  redis.call('PEXPIRE', queue, 2 * live)
  redis.call('ZADD', alive, now + live, me)
  redis.call('PEXPIRE', alive, 2 * live)
  if limit then keep(N, 2 * live) else remember(Z, N, asked, 2 * live) end
  return { redis.call('ZRANK', queue, member), left(Z), '' }
end

local function freed(Z, queue, alive, N, limit)
  if redis.call('EXISTS', queue) == 0 then return 1 end
  local own = { 'G' }
  fill(Z, queue, alive, N, limit, own)
  return #own > 1 and own or 1
end

local function release(Z, queue, alive, N, token, keepMs, limit)
  if keepMs > 0 then
    if not redis.call('ZSCORE', Z, token) then return 0 end
    hold_on(Z, N, kept(token), keepMs)
    redis.call('ZREM', Z, token)
    local first = redis.call('ZRANGE', queue, 0, 0)[1]
    if first then tell(first, '!' .. Z) end
    return 1
  end
  if redis.call('ZREM', Z, token) == 0 then return 0 end
  return freed(Z, queue, alive, N, limit)
end

local function cancel(Z, queue, alive, N, member, limit)
  if redis.call('ZREM', queue, member) == 1 then return 1 end
  local token = find(Z, member)
  if not token then return 0 end
  redis.call('ZREM', Z, token)
  local reply = freed(Z, queue, alive, N, limit)
  return reply == 1 and 2 or reply
end

local function poke(Z, queue, alive, N, member, limit)
  redis.call('PEXPIRE', queue, 2 * live)
  redis.call('ZADD', alive, now + live, me)
  redis.call('PEXPIRE', alive, 2 * live)
  keep(N, 2 * live)
  local own = {}
  if redis.call('EXISTS', queue) == 1 and fill(Z, queue, alive, N, limit, own) == false then
    -- It is further back than those who were skipped.
    if redis.call('ZREM', queue, member) == 1 then
      own[#own + 1] = up() .. string.sub(member, 11, 26)
      hold(Z, N, own[#own], tonumber(string.sub(member, 27)))
    end
  end
  local rank = redis.call('ZRANK', queue, member)
  local token, ms
  if not rank then token, ms = find(Z, member) end
  local reply = { rank or -1, ms or left(Z), token or '' }
  for i = 1, #own do reply[3 + i] = own[i] end
  return reply
end

local function renew(Z, N, token, lease)
  if not redis.call('ZSCORE', Z, token) then return 0 end
  hold_on(Z, N, token, lease)
  return 1
end

local function run(Z, queue, alive, N, op, x, y, asked)
  -- No write where none is needed: after one, Redis would no longer refuse for want of memory what is new.
  local first = redis.call('ZRANGE', Z, 0, 0, 'WITHSCORES')[2]
  if first and tonumber(first) <= now then redis.call('ZREMRANGEBYSCORE', Z, '-inf', now) end
  if op == 't' then return acquire(Z, queue, alive, N, x, y, asked, false) end
  if op == 'q' then return acquire(Z, queue, alive, N, x, y, asked, true) end
  if op == 'n' then return renew(Z, N, x, tonumber(y)) end
  if op == 'i' then return redis.call('ZCARD', Z) end
  local limit = tonumber(redis.call('GET', N)) or tonumber(asked)
  if op == 'r' then return release(Z, queue, alive, N, x, tonumber(y), limit) end
  if op == 'c' then return cancel(Z, queue, alive, N, x, limit) end
  if op == 'p' then return poke(Z, queue, alive, N, x, limit) end
  error('ERR unknown op', 0)
end
${runOps(4, 4, 'run, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]')}`,
);
