import { transitions } from '../common/transitions.js';

/**
 * auth: the first request must be the token. ready: requests are executed. choked: ready, but the peer does not read, so
 * nothing is executed until it does. busy: ready, but an answer is made or written in portions, and nothing is executed
 * until it is given. blocked: a command waits in a queue. leaving: the locks are released, and the last line is on its
 * way. closed.
 */
export type SessionState = 'auth' | 'ready' | 'choked' | 'busy' | 'blocked' | 'leaving' | 'closed';

/**
 * login: the token was right. block: a command waits. work: an answer takes several portions. answer: the command that
 * waited, or the portions, are answered. choke, drain: the outbox is full, is empty again. leave: the last line has been
 * written. end: the connection is over.
 */
export type SessionEvent = 'login' | 'block' | 'work' | 'answer' | 'choke' | 'drain' | 'leave' | 'end';

export const nextSessionState = transitions<SessionState, SessionEvent>('a session', {
  auth: { login: 'ready', leave: 'leaving', end: 'closed' },
  ready: { block: 'blocked', work: 'busy', choke: 'choked', leave: 'leaving', end: 'closed' },
  choked: { drain: 'ready', end: 'closed' },
  busy: { answer: 'ready', end: 'closed' },
  blocked: { answer: 'ready', end: 'closed' },
  leaving: { end: 'closed' },
  closed: {},
});
