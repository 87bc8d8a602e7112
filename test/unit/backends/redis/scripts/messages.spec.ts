import { expect, it } from '@jest/globals';
import {
  channelOf,
  encodeMessage,
  parseMessage,
  type Message,
} from '../../../../../lib/backends/redis/scripts/messages.js';

const token = '179599037352636700ff00ff00000001';
const keys = ['lock:a', 'a', 'lock:{a}b', 'ä 漢\r\n', '!x', `g${token}x`];

it.each(keys)('a message about %j is read as it was written', (key) => {
  const messages: Message[] = [{ type: 'look', key }];
  for (const kind of ['lock', 'sem'] as const) {
    for (const confirm of [false, true]) messages.push({ type: 'granted', kind, confirm, token, key });
  }
  const texts = messages.map(encodeMessage);
  expect(texts).toEqual([`!${key}`, `g${token}${key}`, `c${token}${key}`, `s${token}${key}`, `d${token}${key}`]);
  expect(texts.map(parseMessage)).toEqual(messages);
});

it.each([
  '',
  '!',
  'x',
  `x${token}lock:a`,
  'g',
  `g${token}`,
  `g${token.slice(1)}`,
  `g${'z'.repeat(32)}lock:a`,
  ' g',
  token,
])('%j is no message', (text) => {
  expect(parseMessage(text)).toBeUndefined();
});

it('a client has one channel, or one for each slot where it waits', () => {
  expect(channelOf('x123456789', '')).toBe('dfl:x123456789');
  expect(channelOf('u123456789', '3k')).toBe('dfl:u123456789');
  expect(channelOf('s123456789', '3k')).toBe('dfl:{3k}s123456789');
});
