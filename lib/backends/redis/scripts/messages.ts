import type { LockKind } from '../../backend.js';
import { isToken } from './token.js';

/** What a script publishes to a client: that one of its waiters has been served, or that a key is worth a look. */
export type Message =
  | {
      readonly type: 'granted';
      readonly kind: LockKind;
      readonly token: string;
      /** The full key: K of a lock, Z of a semaphore. */
      readonly key: string;
      /** Its lease is short until it has been renewed, because nobody knows whether this message arrives. */
      readonly confirm: boolean;
    }
  | { readonly type: 'look'; readonly key: string };

/**
 * The channel of a client. `tag`: that of the slot of the key, for clients with the flag `s`, which have one channel for each
 * slot in which they wait.
 */
export const channelOf = (client: string, tag: string): string =>
  client.startsWith('s') ? `dfl:{${tag}}${client}` : `dfl:${client}`;

const LETTERS = { lock: { true: 'c', false: 'g' }, sem: { true: 'd', false: 's' } } as const;

export const encodeMessage = (message: Message): string =>
  message.type === 'look'
    ? `!${message.key}`
    : LETTERS[message.kind][`${message.confirm}`] + message.token + message.key;

const TOKEN_END = 33;

/** Undefined if it is none. */
export function parseMessage(text: string): Message | undefined {
  const letter = text.charAt(0);
  if (letter === '!') return text.length > 1 ? { type: 'look', key: text.slice(1) } : undefined;
  const token = text.slice(1, TOKEN_END);
  if (letter === '' || !'gcsd'.includes(letter) || text.length === TOKEN_END || !isToken(token)) return undefined;
  return {
    type: 'granted',
    kind: letter === 'g' || letter === 'c' ? 'lock' : 'sem',
    token,
    key: text.slice(TOKEN_END),
    confirm: letter === 'c' || letter === 'd',
  };
}
