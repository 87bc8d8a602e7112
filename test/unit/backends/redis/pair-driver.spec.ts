import { beforeEach, describe, expect, it } from '@jest/globals';
import { PairDriver } from '../../../../lib/backends/redis/drivers/pair-driver.js';
import { script } from '../../../../lib/backends/redis/scripts/script.js';
import {
  AuthError,
  ConfigError,
  LockUnavailableError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { failure, FakeNode, NEVER, settingsOn, Told } from './fake-nodes.js';

const ONE = script('one', 'return 1');

describe('the connections to one server', () => {
  let clock: FakeClock;
  let node: FakeNode;
  let told: Told;
  let driver: PairDriver;

  beforeEach(() => {
    clock = new FakeClock();
    node = new FakeNode('db:1');
    told = new Told();
    driver = new PairDriver(node.dialer({ keyPrefix: 'app:' }), settingsOn(clock));
  });

  const opened = async (more = {}, watch = false): Promise<void> => {
    driver = new PairDriver(node.dialer(more), settingsOn(clock, { watch }));
    await driver.open(told);
    told.take();
    node.heard();
  };
  const retried = (): Promise<void> => clock.advanceAsync(200);

  it('are two, and up when both are', async () => {
    expect(driver).toMatchObject({ server: 'db:1', keyPrefix: 'app:', isCluster: false, isSharded: false });
    await driver.open(told);
    expect(node.live.map(({ role }) => role).sort()).toEqual(['commands', 'subscriber']);
    expect(told.events).toEqual(['up']);
  });

  it('are up again when the one that was lost is back', async () => {
    await opened();
    node.drop('subscriber');
    expect(told.take()).toEqual(['down UNAVAILABLE']);
    expect(node.live).toHaveLength(1);
    await retried();
    expect(told.take()).toEqual(['up']);
    expect(node.live).toHaveLength(2);
  });

  it('are said to be down once for each reason', async () => {
    await opened();
    node.refusal = new Error('connect ECONNREFUSED');
    node.drop();
    await clock.advanceAsync(1_000);
    expect(told.take()).toEqual(['down UNAVAILABLE']);
    node.refusal = new Error('WRONGPASS no');
    await clock.advanceAsync(1_000);
    expect(told.take()).toEqual(['down AUTH']);
    node.refusal = undefined;
    await retried();
    expect(told.take()).toEqual(['up']);
    node.drop();
    expect(told.take()).toEqual(['down UNAVAILABLE']);
  });

  it('go on trying after a start that may still succeed', async () => {
    node.refusal = new Error('connect ECONNREFUSED');
    expect(await failure(driver.open(told))).toBeInstanceOf(LockUnavailableError);
    node.refusal = undefined;
    await retried();
    expect(told.events.at(-1)).toBe('up');
  });

  it('end after a start that cannot succeed, whichever of them was refused', async () => {
    let dialed = 0;
    const refused = new PairDriver(
      node.dialer({
        dial: (role, events) => {
          dialed++;
          node.refusal = new Error(role === 'commands' ? 'connect ECONNREFUSED' : 'WRONGPASS no');
          return node.dialer().dial(role, events);
        },
      }),
      settingsOn(clock),
    );
    expect(await failure(refused.open(told))).toBeInstanceOf(AuthError);
    await clock.advanceAsync(10_000);
    expect(dialed).toBe(2);
    expect(await failure(refused.eval(ONE, [], []))).toBeInstanceOf(ShuttingDownError);
  });

  it('wait for a server that reads its data', async () => {
    node.info = { ...node.info, loading: '1' };
    const error = await failure(driver.open(told));
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(error.message).toBe('Redis at db:1 is not available: it is loading its data');
    node.info = { redis_version: '7.0.15', role: 'master', loading: '0' };
    await retried();
    expect(told.events.at(-1)).toBe('up');
  });

  it('wait for another master where Sentinels name a replica, and leave it to the probe where nobody does', async () => {
    node.info = { ...node.info, role: 'slave' };
    driver = new PairDriver(node.dialer({ isSentinel: true }), settingsOn(clock));
    expect((await failure(driver.open(told))).message).toContain('the Sentinels name a replica');
    await opened();
  });

  it('are both made anew where the server is no master any more', async () => {
    await opened();
    node.answer = (words) => (words.startsWith('EVAL') ? new Error("READONLY You can't write") : undefined);
    const before = [...node.live];
    expect((await failure(driver.eval(ONE, ['k'], []))).isTransient).toBe(true);
    await retried();
    expect(told.take()).toEqual(['down UNAVAILABLE', 'up']);
    expect(node.live).toHaveLength(2);
    expect(node.live.some((one) => before.includes(one))).toBe(false);
  });

  it('stay after any other refusal', async () => {
    await opened();
    node.answer = (words) => (words.startsWith('EVAL') ? new Error('OOM command not allowed') : undefined);
    expect((await failure(driver.eval(ONE, ['k'], []))).isTransient).toBe(true);
    await retried();
    expect(told.take()).toEqual([]);
  });

  it('carry commands and scripts on the one, channels and messages on the other', async () => {
    await opened();
    await driver.eval(ONE, ['k'], ['a']);
    await driver.command('k', ['EXISTS', 'k']);
    await driver.subscribe('c');
    node.publish('c', 'hello');
    driver.unsubscribe('c');
    await settlePromises();
    expect(node.heard()).toEqual([
      'commands: EVAL return 1 1 k a',
      'commands: EXISTS k',
      'subscriber: SUBSCRIBE c',
      'subscriber: UNSUBSCRIBE c',
    ]);
    expect(told.take()).toEqual(['subscribed c', 'c: hello']);
  });

  it('bring scripts along again after each connection', async () => {
    await opened();
    await driver.eval(ONE, [], []);
    await driver.eval(ONE, [], []);
    driver.kick();
    await retried();
    await driver.eval(ONE, [], []);
    expect(node.heard().map((words) => words.split(' ')[1])).toEqual(['EVAL', 'EVALSHA', 'EVAL']);
  });

  it('say nothing more once they are closed', async () => {
    await opened();
    node.answer = (words) => (words.startsWith('EVAL') ? NEVER : undefined);
    const open = failure(driver.eval(ONE, [], []));
    const events = node.live.map((one) => one.events);
    await driver.close();
    expect(await open).toBeInstanceOf(ShuttingDownError);
    for (const one of events) one.closed(new Error('late'));
    await clock.advanceAsync(10_000);
    expect(told.take()).toEqual([]);
    expect(node.live).toEqual([]);
  });

  describe('that watch keys', () => {
    const TRACKING = 'commands: CLIENT TRACKING ON REDIRECT 7 OPTIN NOLOOP';
    const CACHING = 'commands: CLIENT CACHING YES';
    const answer = (words: string): unknown => (words === 'CLIENT ID' ? 7 : words.startsWith('EXISTS') ? 2 : undefined);

    beforeEach(async () => {
      node.answer = answer;
      await opened({}, true);
    });

    it('have changes sent to the subscriber, once for each connection', async () => {
      expect(await driver.watch(['a', 'b'])).toBe(2);
      expect(await driver.watch(['c'])).toBe(2);
      expect(node.heard()).toEqual([TRACKING, CACHING, 'commands: EXISTS a b', CACHING, 'commands: EXISTS c']);
      node.drop('subscriber');
      await retried();
      node.heard();
      await driver.watch([]);
      expect(node.heard()).toEqual([]);
      node.drop('commands');
      await retried();
      node.heard();
      expect(await driver.watch([])).toBe(0);
      expect(node.heard()).toEqual([TRACKING]);
    });

    it('tell of keys that were changed, and of all of them whenever they are up again', async () => {
      for (const { events } of node.live) events.invalidated(['a', 'b']);
      expect(told.take()).toContain('invalidated a b');
      for (const { events } of node.live) events.invalidated(null);
      expect(told.take()).toContain('invalidated any');
      node.drop('commands');
      await retried();
      expect(told.take()).toEqual(['down UNAVAILABLE', 'up', 'invalidated any']);
    });

    it('listen before they are up', async () => {
      node.drop('subscriber');
      await retried();
      expect(node.heard()).toEqual(['subscriber: CLIENT ID', 'subscriber: SUBSCRIBE __redis__:invalidate']);
    });

    it('fail where the server refuses, and ask again the next time', async () => {
      node.answer = (words) => (words.includes('TRACKING') ? new Error('ERR unknown subcommand') : answer(words));
      const refused = await failure(driver.watch(['a']));
      expect(refused).toBeInstanceOf(UnsupportedError);
      expect(refused.message).toContain('CLIENT TRACKING');
      node.answer = (words) => (words.includes('TRACKING') ? new Error('LOADING') : answer(words));
      expect(await failure(driver.watch(['a']))).toBeInstanceOf(LockUnavailableError);
      node.answer = answer;
      node.heard();
      node.answer = (words) => (words.startsWith('EXISTS') ? new Error('LOADING') : answer(words));
      await failure(driver.watch(['a']));
      node.answer = answer;
      await driver.watch(['a']);
      expect(node.heard().filter((words) => words === TRACKING)).toHaveLength(2);
    });

    it('fail where there is no connection to send to', async () => {
      node.refusal = new Error('connect ECONNREFUSED');
      node.drop('subscriber');
      const error = await failure(driver.watch(['a']));
      expect(error).toBeInstanceOf(LockUnavailableError);
      expect(error.message).toContain('not connected');
    });
  });

  it('watch nothing where that was not asked for', async () => {
    await opened();
    expect(await failure(driver.watch(['a']))).toBeInstanceOf(ConfigError);
    node.drop();
    await retried();
    expect(told.take()).toEqual(['down UNAVAILABLE', 'up']);
    expect(node.heard()).toEqual([]);
  });
});
