import { HELD } from './held.mjs';
import { SERVERS } from './servers.mjs';
import { STALLS } from './stalls.mjs';
import { TALK } from './talk.mjs';

/**
 * The rules of the client, and below, for each part of a rule, the text of lib that implements it: `from` occurs once
 * in `file`. If `to` replaces it, the part is gone, and the tests of `spec` whose names contain `test` must fail.
 */
export const RULES = [
  'The connection that brought a lock owns it: all requests about the lock are sent on it, and when it ends, the lock is lost in the same turn',
  'A lock counts as held only while that is certain: as long as its lease and the server’s read timeout allow, counted from the send time of the last answered request, less a safety margin',
  'The client sends something on a connection that owns locks every third of the server’s read timeout, and learns if that timeout is shorter than its option',
  'After a stall, nothing is destroyed before all input that has arrived is read; a late answer fails its caller, not the other locks on the connection',
  'A loss is final, and the client releases whatever the server may still hold for it',
  'A lock has one renewal at a time, early rather than late, with its lease; renewals are sent in portions and repeated when they fail; a release succeeds when its connection ends, or over another connection',
  'A bare "error" proves nothing until it is clear which request it answers; an unexpected reply ends the connection',
  'A lock for which no caller waits any more does not stay held',
  'A server that shuts down keeps its locks until their work is done: the client sends nothing on their connections',
  'If the server frees nothing when a connection is closed, locks live as long as their leases',
  'Text that would break a line of the protocol is refused before a byte is sent',
  'Reconnects back off at random; auth comes first, and its refusal is final only at the first start; an answer proves that a server is there, a connection does not; acquires retry until their deadline',
  'After the machine slept, the locks whose leases ended in the meantime are lost; setting the wall clock loses nothing',
];

export const REMOVALS = [...HELD, ...STALLS, ...TALK, ...SERVERS].sort((a, b) => a.rule - b.rule);
