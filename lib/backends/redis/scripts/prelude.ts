import { FENCE } from './fence.js';

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

-- The next living waiter, taken from the queue. Whoever calls is alive.
local function head(queue, alive)
  while true do
    local member = redis.call('ZPOPMIN', queue)[1]
    if not member then
      redis.call('DEL', alive)
      return nil
    end
    local client = string.sub(member, 1, 10)
    if client == me then return member end
    local till = redis.call('ZSCORE', alive, client)
    if till and tonumber(till) >= now then return member end
  end
end

-- Publishes to the client of a waiter. Returns how many received it, or nil if that cannot be known.
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
  return count
end

-- Who cannot be told surely has to confirm, and has a lease no longer than its client counts as alive.
local function must_confirm(member)
  return string.sub(member, 1, 1) == 'u'
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
