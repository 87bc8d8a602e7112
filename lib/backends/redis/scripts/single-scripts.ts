import { script } from './script.js';

/**
 * The usual case of an op by itself, with as little as that needs: nobody holds the lock, and nobody waits for it. Anything else,
 * errors included, is answered nil and has changed nothing but the counter: it is for the script of locks, from the beginning.
 */

/** `KEYS = fence, K, queue`, `ARGV = salt, lease`; replies 16 digits: held, the fence of it; nil: see the script of locks. */
export const singleAcquireScript = script(
  'single-acquire',
  `
if redis.pcall('EXISTS', KEYS[2], KEYS[3]) == 0 then
  local t = redis.call('TIME')
  local us = t[1] .. string.format('%06d', t[2])
  local old = redis.pcall('SET', KEYS[1], us, 'GET')
  if old == false or (type(old) == 'string' and #old == 16 and old < us) then
    if redis.pcall('SET', KEYS[2], us .. ARGV[1], 'PX', ARGV[2]).ok then return us end
  elseif type(old) == 'string' then
    redis.call('SET', KEYS[1], old)
  end
end
return false
`,
);

/** `KEYS = K, queue`, `ARGV = token`; replies 1: released; 0: not held with this token; nil: see the script of locks. */
export const singleReleaseScript = script(
  'single-release',
  `
if redis.pcall('EXISTS', KEYS[2]) == 0 then
  local value = redis.pcall('GET', KEYS[1])
  if value == ARGV[1] then
    if redis.pcall('DEL', KEYS[1]) == 1 then return 1 end
  elseif type(value) ~= 'table' then
    return 0
  end
end
return false
`,
);
