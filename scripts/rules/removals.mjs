import { HELD } from './held.mjs';
import { SERVERS } from './servers.mjs';
import { STALLS } from './stalls.mjs';
import { TALK } from './talk.mjs';

/**
 * What the rules of the client say, and for each part of a rule the text of lib that keeps it: `from` occurs once in
 * `file`; with `to` in its place the part is gone, and the tests of `spec` whose names contain `test` must fail.
 */
export const RULES = [
  'The connection that brought a lock owns it: what is said about the lock travels there, and with its end the lock is lost in the same turn',
  'A lock counts as held for as long as it is sure: by its lease and by the server’s patience with a silent connection, from the send time of what was answered, less a safety margin',
  'A connection that owns locks says something every third of the server’s read timeout, and learns when that is shorter',
  'After a stall nothing is destroyed before what has arrived was read; a late answer costs its caller, not the locks beside it',
  'A loss is final, and what was lost is given back',
  'Renewals: one at a time, early rather than late, with their lease, in portions, again when they fail; a release succeeds by the end of its connection, or elsewhere',
  'A bare "error" is not believed before it is known what it answers; what makes no sense ends the connection',
  'What nobody waits for any more does not stay taken',
  'A server that shuts down keeps its locks until their work is done: nobody speaks on their connections',
  'Where the server frees nothing at the end of a connection, locks live as long as their leases',
  'What would break a line is refused before a byte is sent',
  'Reconnects back off at random; auth comes first, and its refusal is final at the first start only; an answer proves a server, a connection does not; acquires retry until their deadline',
  'A machine that slept has lost what lapsed meanwhile; a wall clock that was set loses nothing',
];

export const REMOVALS = [...HELD, ...STALLS, ...TALK, ...SERVERS].sort((a, b) => a.rule - b.rule);
