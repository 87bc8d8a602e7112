import { PRELUDE, runOps } from './prelude.js';
import { script } from './script.js';

/**
 * All that is done to a lock, many operations per call.
 *
 * `KEYS = fence, (K, queue, alive)…`, `ARGV = client, livenessMs, tag, (op, x, y)…`; replies in the order of the ops:
 *
 * | op | x, y | reply |
 * |---|---|---|
 * | `t` try | salt, lease | 16 digits: held, the fence of it; a whole number: busy, remaining ms of the holder, -1: no end, -2: free, but for those who wait |
 * | `q` take or queue | salt, lease | 16 digits · `[rank, PTTL, value of K]`: queued |
 * | `r` release | token, keepMs | 1: released, or with keepMs > 0 kept for so long · 0: not held with this token · 32 characters: released, and this waiter of the calling client holds it |
 * | `c` cancel | member, '' | 1: left the queue · 2: had been granted, is released · a token, as with `r` · 0: unknown |
 * | `p` poke | oldest own member, '' | `[rank or -1, PTTL, value of K or '']` |
 * | any | | `['E', message]`: this op has failed, with the message that Redis gave |
 *
 * What it promises: a lock is given only while K does not exist or is released in the same op, and never past a living
 * waiter that can be reached. Waiters get it in the order in which they were queued. Whoever is served is told by a message,
 * the calling client by the reply. A client that cannot be reached now (0 receivers), as after a failover until it has
 * subscribed again, is passed over and keeps its places; one that has not poked for livenessMs loses them. Where nobody can
 * be reached, K is free, and whoever pokes takes it for the first of its waiters. The fence of a grant is higher than all before it that were counted by the same counter, and never below the server's clock
 * in microseconds. An acquire for which Redis has no memory fails before it has written anything;
 * renewals, releases, hand-overs and pokes need none. A lock that is kept after its release has another token: what its holder
 * sent before, and arrives after, does not touch it. Values of K are cut off
 * after 33 characters in replies: a longer one is no token.
 */
export const lockScript = script(
  'lock',
  `
-- One try, acquire or release of a lock for which nobody waits, or a release whose first waiter lives and is reached: the usual
-- cases, without what the others need. Whatever is out of the ordinary, errors included, goes on below and is done from the
-- beginning.
if #KEYS == 4 then
  local op, K, queue = ARGV[4], KEYS[2], KEYS[3]
  if op == 't' or op == 'q' then
    if redis.pcall('EXISTS', K, queue) == 0 then
      local t = redis.call('TIME')
      local us = t[1] .. string.format('%06d', t[2])
      local old = redis.pcall('SET', KEYS[1], us, 'GET')
      if old == false or (type(old) == 'string' and #old == 16 and old < us) then
        local set = redis.pcall('SET', K, us .. ARGV[5], 'PX', ARGV[6])
        if set.ok then return { us } end
      elseif type(old) == 'string' then
        redis.call('SET', KEYS[1], old)
      end
    end
  elseif op == 'r' and ARGV[6] == '0' then
    local value = redis.pcall('GET', K)
    if value == ARGV[5] then
      local queued = redis.pcall('ZRANGE', queue, 0, 0)
      local member = queued[1]
      if not member then
        if not queued.err and redis.pcall('DEL', K) == 1 then return { 1 } end
      else
        local client = string.sub(member, 1, 10)
        local own = client == ARGV[1]
        local till = not own and string.sub(client, 1, 1) == 'x' and redis.pcall('ZSCORE', KEYS[4], client)
        local t = redis.call('TIME')
        local us = t[1] .. string.format('%06d', t[2])
        if own or (type(till) == 'string' and tonumber(till) >= math.floor(tonumber(us) / 1000)) then
          local old = redis.pcall('SET', KEYS[1], us, 'GET')
          if old == false or (type(old) == 'string' and #old == 16 and old < us) then
            local token, lease = us .. string.sub(member, 11, 26), string.sub(member, 27)
            if redis.pcall('SET', K, token, 'PX', lease).ok then
              local count = own and 1 or redis.pcall('PUBLISH', 'dfl:' .. client, 'g' .. token .. K)
              if type(count) == 'number' and count > 0 then
                redis.call('ZREM', queue, member)
                return { own and token or 1 }
              end
              redis.call('SET', K, value, 'PX', lease)
            end
          elseif type(old) == 'string' then
            redis.call('SET', KEYS[1], old)
          end
        end
      end
    elseif type(value) ~= 'table' then
      return { 0 }
    end
  end
end
${PRELUDE}
-- Gives K, which is free or about to be overwritten, to the next waiter that can be told. Returns the token if it is one of the
-- calling client and 'direct' is set, otherwise 1. If there is none, K does not exist then: nil if a new caller may take it,
-- otherwise false.
local function pass(K, queue, alive, direct)
  local walk = walk_of(direct)
  while true do
    local member, score = head(queue, alive, walk)
    if not member then
      redis.call('DEL', K)
      return member
    end
    local token = up() .. string.sub(member, 11, 26)
    local lease = tonumber(string.sub(member, 27))
    if direct and string.sub(member, 1, 10) == me then
      redis.call('SET', K, token, 'PX', lease)
      return token
    end
    if must_confirm(member) then
      redis.call('SET', K, token, 'PX', math.min(lease, live))
      tell(member, 'c' .. token .. K)
      return 1
    end
    redis.call('SET', K, token, 'PX', lease)
    local count = tell(member, 'g' .. token .. K)
    if not count then
      redis.call('PEXPIRE', K, math.min(lease, live))
      return 1
    end
    if count > 0 then return 1 end
    skip(queue, alive, walk, member, score)
  end
end

local function shown(value)
  return value and string.sub(value, 1, 33) or ''
end

local function take(K, salt, lease)
  local digits = up()
  redis.call('SET', K, digits .. salt, 'PX', lease)
  return digits
end

local function acquire(K, queue, alive, salt, lease, wait)
  if redis.call('EXISTS', K, queue) == 0 then return take(K, salt, lease) end
  local value = redis.call('GET', K)
  if not value then
    if pass(K, queue, alive, false) == nil then return take(K, salt, lease) end
    value = redis.call('GET', K)
  end
  if not wait then return redis.call('PTTL', K) end
  local member = me .. salt .. lease
  redis.call('ZADD', queue, 'NX', up(), member)
  redis.call('PEXPIRE', queue, 2 * live)
  redis.call('ZADD', alive, now + live, me)
  redis.call('PEXPIRE', alive, 2 * live)
  return { redis.call('ZRANK', queue, member), redis.call('PTTL', K), shown(value) }
end

local function release(K, queue, alive, token, keep)
  if redis.call('GET', K) ~= token then return 0 end
  if keep > 0 then
    redis.call('PEXPIRE', K, keep)
    -- Without memory, it keeps its token.
    redis.pcall('SET', K, kept(token), 'PX', keep)
    local first = redis.call('ZRANGE', queue, 0, 0)[1]
    if first then tell(first, '!' .. K) end
    return 1
  end
  if redis.call('EXISTS', queue) == 1 then return pass(K, queue, alive, true) or 1 end
  redis.call('DEL', K)
  return 1
end

local function cancel(K, queue, alive, member)
  if redis.call('ZREM', queue, member) == 1 then return 1 end
  local value = redis.call('GET', K)
  if not value or #value ~= 32 or string.sub(value, 17) ~= string.sub(member, 11, 26) then return 0 end
  local reply = release(K, queue, alive, value, 0)
  return reply == 1 and 2 or reply
end

-- PEXPIRE comes first: Redis refuses a script's ZADD while its memory is used up, but not after a write that needs none.
local function poke(K, queue, alive, member)
  redis.call('PEXPIRE', queue, 2 * live)
  redis.call('ZADD', alive, now + live, me)
  redis.call('PEXPIRE', alive, 2 * live)
  if redis.call('EXISTS', K) == 0 and redis.call('EXISTS', queue) == 1 and pass(K, queue, alive, true) == false then
    -- It is further back than those who were skipped.
    if redis.call('ZREM', queue, member) == 1 then
      take(K, string.sub(member, 11, 26), tonumber(string.sub(member, 27)))
    end
  end
  local rank = redis.call('ZRANK', queue, member)
  return { rank or -1, redis.call('PTTL', K), shown(redis.call('GET', K)) }
end

local function run(K, queue, alive, op, x, y)
  if op == 't' then return acquire(K, queue, alive, x, y, false) end
  if op == 'q' then return acquire(K, queue, alive, x, y, true) end
  if op == 'r' then return release(K, queue, alive, x, tonumber(y)) end
  if op == 'c' then return cancel(K, queue, alive, x) end
  if op == 'p' then return poke(K, queue, alive, x) end
  error('ERR unknown op', 0)
end
${runOps(3, 3, 'run, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]')}`,
);
