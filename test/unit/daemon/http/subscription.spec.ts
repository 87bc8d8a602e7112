import { describe, expect, it } from '@jest/globals';
import { EventFrames } from '../../../../lib/daemon/http/streams/event-frames.js';
import { parseSubscription } from '../../../../lib/daemon/http/streams/subscription.js';
import { fromBytes, toBytes } from '../../../../lib/protocol/bytes.js';

/** Facts of the HTTP specification, 3.10. */
describe('a subscription', () => {
  it.each([
    ['pattern=events.%3E', 'events.>', ''],
    ['pattern=events.>&group=workers', 'events.>', 'workers'],
    ['group=&pattern=*', '*', ''],
    ['pattern=a&pattern=b&group=x&group=y', 'a', 'x'],
    ['other=1&p%61ttern=a&&=', 'a', ''],
    ['pattern=a%2Fb%FF', 'a/b\xff', ''],
    ['pattern=%D0%BA', toBytes('к'), ''],
    ['pattern=a=b', 'a=b', ''],
    ['pattern=a&group=+%C2%A0my%20group%E3%80%80', 'a', 'my group'],
    ['pattern=a&group=%20+', 'a', ''],
    // As in Go: such a pair does not count.
    ['pattern=%zz&pattern=a', 'a', ''],
    ['pattern=a&group=%4', 'a', ''],
    ['pattern=a;b&pattern=c', 'c', ''],
    [`pattern=${'a'.repeat(256)}&group=${'b'.repeat(256)}`, 'a'.repeat(256), 'b'.repeat(256)],
  ])('is read from %j', (query, pattern, group) => {
    expect(parseSubscription(query)).toEqual({ pattern, group });
  });

  it.each([
    ['', 'pattern is missing or empty'],
    ['group=x', 'pattern is missing or empty'],
    ['pattern', 'pattern is missing or empty'],
    ['pattern=&pattern=a', 'pattern is missing or empty'],
    ['Pattern=a', 'pattern is missing or empty'],
    ['pattern=a+b', 'pattern must not contain a space, a tab or a line break'],
    ['pattern=a%0Ab', 'pattern must not contain a space, a tab or a line break'],
    [`pattern=${'%FF'.repeat(257)}`, 'pattern is too long: at most 256 bytes'],
    ['pattern=a*', 'pattern: `*` must be a whole token, and `>` the whole last token'],
    ['pattern=>.a', 'pattern: `*` must be a whole token, and `>` the whole last token'],
    ['pattern=a&group=x%0D', 'group must not contain a line break'],
    ['pattern=a&group=x%0A', 'group must not contain a line break'],
    [`pattern=a&group=${'+'.repeat(257)}`, 'group is too long: at most 256 bytes'],
  ])('is refused: %j', (query, fault) => {
    expect(parseSubscription(query)).toBe(fault);
  });
});

describe('the event of a signal', () => {
  it('is written as by the original, byte for byte', () => {
    expect(new EventFrames().of('events.login', '{"user":"alice"}')).toBe(
      'event: sig\ndata: {"channel":"events.login","payload":"{\\"user\\":\\"alice\\"}"}\n\n',
    );
  });

  it('stays one line of data, whatever bytes the payload has', () => {
    const frames = new EventFrames();
    const payload = toBytes('\x01<b>&\u2028\u0085\r ключ') + '\xff';
    const frame = fromBytes(frames.of('c', payload));
    expect(frame.split('\n')).toHaveLength(4);
    const { payload: read } = JSON.parse(frame.split('\n')[1]!.slice('data: '.length)) as { payload: string };
    expect(read).toBe('\x01<b>&\u2028\u0085\r ключ\ufffd');
  });

  it('is made once for all who listen', () => {
    const frames = new EventFrames();
    const frame = frames.of('c', 'p');
    expect(frames.of('c', 'p')).toBe(frame);
    expect([frames.of('c', 'q'), frames.of('d', 'q')].map((each) => each.split('data: ')[1])).toEqual([
      '{"channel":"c","payload":"q"}\n\n',
      '{"channel":"d","payload":"q"}\n\n',
    ]);
  });
});
