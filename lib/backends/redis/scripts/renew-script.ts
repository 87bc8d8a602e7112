import { script } from './script.js';

/**
 * Renews locks. `KEYS = K…`, at most 250 in one call, `ARGV = (token, lease)…`; replies 1: the lease starts anew; 0: not held
 * with this token; `['E', message]`: not known. A key that holds something other than a string is not held.
 */
export const renewScript = script(
  'renew',
  `
local replies = {}
for i = 1, #KEYS do
  local reply = redis.pcall('GET', KEYS[i])
  if reply == ARGV[2 * i - 1] then
    reply = redis.pcall('PEXPIRE', KEYS[i], ARGV[2 * i])
  elseif type(reply) ~= 'table' or string.find(reply.err, '^WRONGTYPE') then
    reply = 0
  end
  if type(reply) == 'table' then reply = { 'E', reply.err } end
  replies[i] = reply
end
return replies
`,
);
