import { impossible, type Transitions } from '../../common/transitions.js';

/**
 * auth: the first request must be the token. ready: requests are executed. choked: the peer does not read, and no
 * request is executed until it does. busy: a reply is built or written in portions, and no request is executed until it
 * is complete. blocked: a command waits in a queue. leaving: the locks are released, and the last line is being sent.
 * closed.
 */
export type SessionState = 'auth' | 'ready' | 'choked' | 'busy' | 'blocked' | 'leaving' | 'closed';

/**
 * login: the token was right. block: a command has to wait. work: a reply takes several portions. answer: the waiting
 * command was answered, or the reply is complete. choke: the outbox is full. drain: it is empty again. leave: the last
 * line was written. end: the connection is closed.
 */
export type SessionEvent = 'login' | 'block' | 'work' | 'answer' | 'choke' | 'drain' | 'leave' | 'end';

const TABLE: Transitions<SessionState, SessionEvent> = {
  auth: { login: 'ready', leave: 'leaving', end: 'closed' },
  ready: { block: 'blocked', work: 'busy', choke: 'choked', leave: 'leaving', end: 'closed' },
  choked: { drain: 'ready', end: 'closed' },
  busy: { answer: 'ready', end: 'closed' },
  blocked: { answer: 'ready', end: 'closed' },
  leaving: { end: 'closed' },
  closed: {},
};

export const nextSessionState = (state: SessionState, event: SessionEvent): SessionState =>
  TABLE[state][event] ?? impossible('a session', state, event);
