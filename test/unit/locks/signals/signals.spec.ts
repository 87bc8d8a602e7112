import { beforeEach, describe, expect, it } from '@jest/globals';
import type { SignalTaker } from '../../../../lib/backends/backend.js';
import {
  AuthError,
  ConfigError,
  LockKeyError,
  LockUnavailableError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import type { Signals } from '../../../../lib/locks/signals/signals.js';
import { FakeBackend } from '../support/fake-backend.js';
import { World } from '../support/world.js';

/** A backend with signals; what it is told to publish goes nowhere. */
class SignalBackend extends FakeBackend {
  readonly takers: SignalTaker[] = [];

  async publish(channel: string, payload: string): Promise<number> {
    this.log.push(`publish ${channel} ${payload}`);
    return 3;
  }

  subscribe(pattern: string, group: string | undefined, taker: SignalTaker): () => void {
    this.log.push(`subscribe ${pattern} ${group}`);
    this.takers.push(taker);
    return () => this.log.push(`unsubscribe ${pattern}`);
  }
}

let world: World<SignalBackend>;
let signals: Signals;

beforeEach(() => {
  world = new World({}, SignalBackend);
  ({ signals } = world.client);
});

const thrownBy = (call: () => unknown): Error => {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
};

describe('emit', () => {
  it('waits for the start, and says how many got it', async () => {
    expect(await signals.emit('orders.1', 'paid')).toBe(3);
    expect(world.backend.log).toEqual(['start', 'publish orders.1 paid']);
  });

  it('fails where there are no signals', async () => {
    const { client, backend } = new World();
    const emitting = client.signals.emit('a', 'x');
    await expect(emitting).rejects.toBeInstanceOf(UnsupportedError);
    await expect(emitting).rejects.toThrow('fake does not support signals');
    expect(backend.log).toEqual([]);
  });

  it.each<[string, unknown, unknown, new (...args: any[]) => Error, string]>([
    ['an empty channel', '', 'x', LockKeyError, 'the channel "": a key must not be empty'],
    ['a channel with a space', 'a b', 'x', LockKeyError, 'the channel "a b": the key "a b" has white space'],
    ['a channel that is no text', 7, 'x', LockKeyError, 'the channel 7: a key must be a string'],
    ['a wildcard', 'a.*', 'x', LockKeyError, 'the channel "a.*" has a wildcard (* or >)'],
    ['the other wildcard', 'a.>', 'x', LockKeyError, 'the channel "a.>" has a wildcard (* or >)'],
    [
      '257 bytes',
      'ü'.repeat(128) + 'a',
      'x',
      LockKeyError,
      `the channel "${'ü'.repeat(128)}… (129 characters)" has more than 256 bytes`,
    ],
    ['a payload that is no text', 'a', 7, ConfigError, 'the payload must be a string, got number'],
    ['a payload that is an object', 'a', new URL('a:b'), ConfigError, 'the payload must be a string, got a URL'],
    ['LF', 'a', 'x\ny', ConfigError, String.raw`the payload "x\ny" contains NUL, CR or LF`],
    ['CR', 'a', 'x\r', ConfigError, 'contains NUL, CR or LF'],
    ['NUL', 'a', '\0', ConfigError, 'contains NUL, CR or LF'],
    ['nothing', 'a', '', ConfigError, 'the payload "" is blank'],
    ['blanks', 'a', ' \t ', ConfigError, String.raw`the payload " \t " is blank`],
    [
      'a payload that is too long by one byte',
      'ab',
      `ü${'x'.repeat(65_528)}`,
      ConfigError,
      'the payload has 65530 bytes; the maximum on this channel is 65529',
    ],
  ])('refuses %s before anything is sent', async (_, channel, payload, type, text) => {
    const emitting = signals.emit(channel as string, payload as string);
    await expect(emitting).rejects.toBeInstanceOf(type);
    await expect(emitting).rejects.toThrow(text);
    expect(world.backend.log).toEqual([]);
  });

  it('takes what just fits', async () => {
    expect(await signals.emit('a'.repeat(256), 'x')).toBe(3);
    expect(await signals.emit('ab', 'x'.repeat(65_529))).toBe(3);
    expect(await signals.emit('a', ' x\t')).toBe(3);
  });
});

describe('signal$', () => {
  it('tells what comes from the moment of subscribing until the end of it', () => {
    const got: unknown[] = [];
    const stream = signals.signal$('orders.*', { group: 'g' });
    expect(world.backend.log).toEqual([]);
    const subscription = stream.subscribe((signal) => got.push(signal));
    signals.signal$('>').subscribe();
    world.backend.takers[0]!.signal('orders.1', 'paid');
    expect(got).toEqual([{ channel: 'orders.1', payload: 'paid' }]);
    subscription.unsubscribe();
    expect(world.backend.log).toEqual(['subscribe orders.* g', 'subscribe > undefined', 'unsubscribe orders.*']);
  });

  it('completes when the client closes, and fails with anything else', () => {
    const ends: unknown[] = [];
    const end = { complete: () => ends.push('complete'), error: (error: unknown) => ends.push(error) };
    signals.signal$('a').subscribe(end);
    signals.signal$('b').subscribe(end);
    const [first, second] = world.backend.takers as [SignalTaker, SignalTaker];
    const error = new AuthError();
    first.failed(new ShuttingDownError());
    second.failed(error);
    expect(ends).toEqual(['complete', error]);
  });

  it('is refused at once where there are no signals', () => {
    expect(() => new World().client.signals.signal$('a')).toThrow(UnsupportedError);
  });

  it.each<[string, unknown, unknown, string]>([
    ['an empty pattern', '', undefined, 'the pattern "": a key must not be empty'],
    ['half a token', 'a*', undefined, 'the pattern "a*": * must be a whole token, > the whole last token'],
    ['> that is not the last', '>.a', undefined, 'the pattern ">.a": * must be a whole token'],
    ['an empty group', 'a', '', 'the group "": a key must not be empty'],
    ['a group that is no text', 'a', 7, 'the group 7: a key must be a string'],
  ])('refuses %s', (_, pattern, group, text) => {
    const error = thrownBy(() => signals.signal$(pattern as string, { group: group as string }));
    expect(error).toBeInstanceOf(LockKeyError);
    expect(error.message).toContain(text);
  });

  it('says what was wrong with the name as the cause', () => {
    const { cause } = thrownBy(() => signals.signal$('a b'));
    expect(cause).toBeInstanceOf(LockKeyError);
  });
});

describe('asking servers', () => {
  it('begins with the start, which takes no longer than an acquire may', async () => {
    expect(await world.client.stats()).toEqual([{ server: 'fake' }]);
    expect(world.backend.log).toEqual(['start']);
    const other = new World({ acquireTimeoutS: 2 });
    other.backend.onStart = () => new Promise(() => undefined);
    let refused: unknown;
    const pinging = other.client.ping().catch((error: unknown) => (refused = error));
    await other.clock.advanceAsync(1999);
    expect(refused).toBeUndefined();
    await other.clock.advanceAsync(1);
    await pinging;
    expect(refused).toBeInstanceOf(LockUnavailableError);
  });

  it('fails with a start that finds no server; after that the backend itself is asked', async () => {
    world.backend.onStart = async () => Promise.reject(new LockUnavailableError('away'));
    await expect(world.client.ping()).rejects.toThrow('away');
    await world.client.ping();
    expect(world.backend.log).toEqual(['start', 'ping']);
    const other = new World();
    other.backend.onStart = async () => Promise.reject(new AuthError());
    await expect(other.client.ping()).rejects.toBeInstanceOf(AuthError);
    expect(other.log).toEqual([]);
  });
});
