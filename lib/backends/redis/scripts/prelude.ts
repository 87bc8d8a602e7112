import { FENCE } from './fence.js';

/**
 * How many waiters one hand-over skips because nobody received what was published to them, so that a long queue of theirs
 * does not block Redis. Those behind them are not overtaken by a new caller, and hold up nobody: whoever pokes takes a free
 * lock for itself, and every waiter pokes each pokeMs or is dropped after livenessMs.
 */
const MAX_SKIPPED = 100;

/**
 * What the scripts of locks and semaphores share. They are written for Lua 5.1 without `unpack`, `math.pow` and `setfenv`,
 * so that 5.4 runs them too. Time is the server's, read once per call. Every key is declared.
 *
 * KEYS[1] is the fence counter. ARGV[1] is the client that asks, ARGV[2] for how long it counts as alive (ms), ARGV[3] in
 * a cluster the tag of the slot, which is part of the channels there, and empty otherwise.
 */
export const PRELUDE = `
local me, live, tag = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(us / 1000)

-- Whole numbers below 2^53, which a double holds exactly.
local function digits(n)
  return string.format('%.0f', n)
end

${FENCE}

-- The clients that have not received what this call published to them: they are skipped from then on.
local unreachable = {}

-- A walk through a queue. 'direct': waiters of the calling client are told by the reply.
local function walk_of(direct)
  return { direct = direct, skipped = 0, own = false }
end

-- Leaves a waiter that was taken from the queue in its place: it cannot be reached now, but may be the next time.
local function skip(queue, alive, walk, member, score)
  redis.call('ZADD', queue, score, member)
  -- It may have been the only one.
  redis.call('PEXPIRE', queue, math.max(redis.call('PTTL', alive), live))
  walk.skipped = walk.skipped + 1
  if string.sub(member, 1, 10) == me then walk.own = true end
end

-- Takes the next waiter that is alive and may be reached from the queue, and drops the dead. Whoever calls is alive. Returns the
-- waiter and its score; nil if there is none; false if those who are left must not be overtaken: too many were skipped to know
-- who is behind them, or waiters of the calling client were.
local function head(queue, alive, walk)
  while walk.skipped < ${MAX_SKIPPED} do
    local at, first = walk.skipped, nil
    if at == 0 then
      first = redis.call('ZPOPMIN', queue)
    else
      first = redis.call('ZRANGE', queue, at, at, 'WITHSCORES')
    end
    local member, score = first[1], first[2]
    if not member then
      if at == 0 then redis.call('DEL', alive) end
      if walk.own then return false end
      return nil
    end
    if at > 0 then redis.call('ZREM', queue, member) end
    local client = string.sub(member, 1, 10)
    local lives = client == me
    if not lives then
      local till = redis.call('ZSCORE', alive, client)
      lives = till and tonumber(till) >= now
    end
    if lives then
      if not unreachable[client] or (walk.direct and client == me) then return member, score end
      skip(queue, alive, walk, member, score)
    end
  end
  return false
end

-- Publishes to the client of a waiter. Returns how many received it, or nil if that cannot be known. A client that did not is
-- unreachable for the rest of the call.
local function tell(member, text)
  local client = string.sub(member, 1, 10)
  local flag = string.sub(client, 1, 1)
  local count
  if flag == 's' then
    count = redis.pcall('SPUBLISH', 'dfl:{' .. tag .. '}' .. client, text)
  else
    count = redis.pcall('PUBLISH', 'dfl:' .. client, text)
  end
  if flag == 'u' or type(count) ~= 'number' then return nil end
  if count == 0 then unreachable[client] = true end
  return count
end

-- Who cannot be told surely has to confirm, and has a lease no longer than its client counts as alive.
local function must_confirm(member)
  return string.sub(member, 1, 1) == 'u'
end

-- The token of what is kept after its release: the same fence, and the salt of nobody.
local function kept(token)
  return string.sub(token, 1, 16) .. '0000000000000000'
end

local function message_of(err)
  if type(err) == 'table' then err = err.err or err[1] end
  err = string.gsub(tostring(err), '^@?user_script:%s*%d+:%s*', '')
  return (string.gsub(err, '^%-', ''))
end
`;

/**
 * Runs the ops of a call, each by itself: what one of them finds wrong harms no other.
 *
 * @param call the function of an op and its arguments; `k` and `a` are where its keys and arguments begin
 */
export const runOps = (keys: number, args: number, call: string): string => `
local replies = {}
for i = 1, (#KEYS - 1) / ${keys} do
  local k, a = 1 + ${keys} * (i - 1), 3 + ${args} * (i - 1)
  local ok, reply = pcall(${call})
  if ok then replies[i] = reply else replies[i] = { 'E', message_of(reply) } end
end
if fence ~= stored then redis.call('SET', KEYS[1], digits(fence)) end
return replies
`;
