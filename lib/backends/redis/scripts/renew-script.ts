import { script } from './script.js';

/**
 * Renews locks. `KEYS = K…`, at most 250 in one call, `ARGV = lease, tokens`: the tokens of all keys in one string, because each
 * argument costs the client more than its bytes; they have the same length. Replies 1 if all leases start anew, otherwise a
 * list with 1 for each lease that does; 0: not held with this token; `['E', message]`: not known. A key that holds something
 * other than a string is not held.
 */
export const renewScript = script(
  'renew',
  `
local lease, tokens = ARGV[1], ARGV[2]
local width = #tokens / #KEYS
local replies, all = {}, 1
for i = 1, #KEYS do
  local reply = redis.pcall('GET', KEYS[i])
  if reply == string.sub(tokens, (i - 1) * width + 1, i * width) then
    reply = redis.pcall('PEXPIRE', KEYS[i], lease)
  elseif type(reply) ~= 'table' or string.find(reply.err, '^WRONGTYPE') then
    reply = 0
  end
  if type(reply) == 'table' then reply = { 'E', reply.err } end
  if reply ~= 1 then all = false end
  replies[i] = reply
end
return all or replies
`,
);
