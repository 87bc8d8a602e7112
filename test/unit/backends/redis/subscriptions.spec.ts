import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Connection, ConnectionEvents } from '../../../../lib/backends/redis/drivers/connection.js';
import { Subscriptions } from '../../../../lib/backends/redis/drivers/subscriptions.js';
import { ShuttingDownError } from '../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';

describe('the connection of a subscriber', () => {
  let clock: FakeClock;
  let asked: string[];
  let answers: boolean;
  let refusal: Error | undefined;
  let said: string[];
  let events: ConnectionEvents;
  let subscriptions: Subscriptions;

  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
    said = [];
    answers = true;
    refusal = undefined;
    const answer = (what: string): Promise<unknown> => {
      asked.push(what);
      if (refusal) return Promise.reject(refusal);
      return answers ? Promise.resolve('OK') : new Promise(() => undefined);
    };
    subscriptions = new Subscriptions(
      {
        server: 'db:1',
        keyPrefix: '',
        isSentinel: false,
        writesAtOnce: false,
        timeoutMs: 1_000,
        dial: (_role, its): Connection => {
          events = its;
          return {
            ready: Promise.resolve(),
            call: (args) => answer(args.join(' ')),
            subscribe: (channel, isSharded) => answer(`${isSharded ? 'SSUBSCRIBE' : 'SUBSCRIBE'} ${channel}`),
            unsubscribe: (channel) => answer(`UNSUBSCRIBE ${channel}`),
            destroy: () => Promise.resolve(),
          };
        },
      },
      {
        clock,
        entropy: { unit: () => 0, fill: () => undefined },
        requestTimeoutMs: 500,
        minDelayMs: 50,
        maxDelayMs: 400,
        watch: false,
      },
      {
        up: () => said.push('up'),
        down: (error) => said.push(`down: ${error.message}`),
        subscribed: (channel) => said.push(`subscribed ${channel}`),
        message: (channel, text) => said.push(`${channel}: ${text}`),
        invalidated: () => said.push('invalidated'),
      },
      false,
    );
  });

  it('is asked whether it is there, and dropped when it is not', async () => {
    await subscriptions.add('a');
    await clock.advanceAsync(31_000);
    expect(asked).toEqual(['SUBSCRIBE a', 'PING', 'PING']);
    answers = false;
    await clock.advanceAsync(14_000);
    expect(said).toEqual(['up', 'subscribed a']);
    await clock.advanceAsync(500);
    expect(said[2]).toMatch(/^down: .*no answer for 500 ms/);
  });

  it('has its channels again on the next connection, before it is up', async () => {
    await subscriptions.add('a');
    await subscriptions.add('b');
    subscriptions.remove('b');
    asked.length = said.length = 0;
    events.closed(new Error('Socket closed unexpectedly'));
    await clock.advanceAsync(1);
    expect(asked).toEqual(['SUBSCRIBE a']);
    expect(said.slice(1)).toEqual(['up', 'subscribed a']);
  });

  it('says nothing of a channel that was given up meanwhile', async () => {
    await subscriptions.add('a');
    const adding = subscriptions.add('b');
    subscriptions.remove('b');
    await adding;
    expect(said).toEqual(['up', 'subscribed a']);
  });

  it('does not ask again for a channel that is refused', async () => {
    await subscriptions.add('a');
    refusal = new Error('NOPERM this user has no permissions to access one of the channels');
    await expect(subscriptions.add('b')).rejects.toThrow(/denies a right/);
    refusal = undefined;
    expect(subscriptions.all()).toEqual(['a']);
  });

  it('has no timer left when it is closed', async () => {
    await subscriptions.add('a');
    await subscriptions.close(new ShuttingDownError());
    await settlePromises();
    expect(clock.pendingTimers).toBe(0);
  });
});
