/**
 * The fences of locks and semaphores: a part of the prelude. A fence is higher than all before it that the same counter
 * counted, and never below the server's clock in microseconds. The script for a single acquire counts in the same way
 * (see single-scripts.ts).
 */
export const FENCE = `-- The next fence. The counter is written before the first one is used, so that whoever may not write it gets no lock,
-- and once more at the end of the script.
local fence, stored
local function up()
  if fence then
    fence = fence + 1
    return digits(fence)
  end
  local old = redis.pcall('SET', KEYS[1], digits(us), 'GET')
  if type(old) == 'table' then
    -- It holds no string. Where it is something else that is wrong, that is raised now.
    redis.call('SET', KEYS[1], digits(us))
    old = false
  end
  local last = old and string.find(old, '^%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d$') and tonumber(old)
  if last and last >= us and last < 9007199254740991 then
    fence = last + 1
    redis.call('SET', KEYS[1], digits(fence))
  else
    fence = us
  end
  stored = fence
  return digits(fence)
end`;
