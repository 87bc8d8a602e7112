import { beforeEach, describe, expect, it } from '@jest/globals';
import { ClusterDriver } from '../../../../lib/backends/redis/drivers/cluster-driver.js';
import { addressOf, type ClusterNodes } from '../../../../lib/backends/redis/drivers/connection.js';
import { slotOf } from '../../../../lib/backends/redis/scripts/companion-keys.js';
import { script } from '../../../../lib/backends/redis/scripts/script.js';
import { AuthError, LockUnavailableError, ShuttingDownError, UnsupportedError } from '../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { failure, FakeNode, NEVER, settingsOn, Told } from './fake-nodes.js';

const ONE = script('one', 'return 1');
/** Their slots are in the lower and in the upper half. */
const [LOW, HIGH] = ['b', 'a'];
const MIDDLE = 8192;

describe('the connections to a cluster', () => {
  let clock: FakeClock;
  let nodes: Map<string, FakeNode>;
  let slots: unknown;
  let find: () => Promise<void>;
  let told: Told;
  let driver: ClusterDriver;

  /** A node of the cluster; it comes into being when it is named. */
  const at = (port: number): FakeNode => {
    const address = `db:${port}`;
    let node = nodes.get(address);
    if (!node) {
      nodes.set(address, (node = new FakeNode(address)));
      node.answer = (words) => (words === 'CLUSTER SLOTS' ? slots : undefined);
    }
    return node;
  };
  const halves = (low: number, high: number): unknown => [
    [0, MIDDLE - 1, ['db', low, 'id'], ['db', 9, 'id']],
    [MIDDLE, 16_383, ['db', high, 'id']],
  ];
  /** What a node is asked beside the map of the cluster. */
  const heard = (port: number): string[] =>
    at(port)
      .heard()
      .filter((words) => !words.includes('CLUSTER SLOTS'));
  /** Answers a script otherwise than with OK, so many times. */
  const answerOnce = (port: number, reply: unknown, times = 1): void => {
    const node = at(port);
    const { answer } = node;
    let left = times;
    node.answer = (words, role) => (words.startsWith('EVAL') && left-- > 0 ? reply : answer(words, role));
  };

  beforeEach(() => {
    expect(slotOf(LOW)).toBeLessThan(MIDDLE);
    expect(slotOf(HIGH)).toBeGreaterThanOrEqual(MIDDLE);
    clock = new FakeClock();
    nodes = new Map();
    told = new Told();
    slots = halves(1, 2);
    find = async () => undefined;
    const found: ClusterNodes = {
      known: [{ host: 'db', port: 1 }],
      dialer: (endpoint) => {
        expect(addressOf(endpoint)).toMatch(/^db:/);
        return at(endpoint.port).dialer();
      },
    };
    driver = newDriver(false, found);
  });

  let found: ClusterNodes;
  function newDriver(watch = false, its = found): ClusterDriver {
    found = its;
    return new ClusterDriver(
      { keyPrefix: 'app:', writesAtOnce: false, timeoutMs: 1_000, find: () => find().then(() => its) },
      settingsOn(clock, { watch }),
    );
  }

  const opened = async (): Promise<void> => {
    await driver.open(told);
    await settlePromises();
    told.take();
    for (const node of nodes.values()) node.heard();
  };

  it('are one to each master, and up when all of them are', async () => {
    expect(driver).toMatchObject({ server: 'cluster', keyPrefix: 'app:', isCluster: true });
    await driver.open(told);
    expect([...nodes.keys()]).toEqual(['db:1', 'db:2']);
    expect([...nodes.values()].map(({ live }) => live.map(({ role }) => role))).toEqual([['commands'], ['commands']]);
    expect(told.events).toEqual(['up']);
    expect(driver.isSharded).toBe(true);
  });

  it('go to the node of the slot', async () => {
    await opened();
    await driver.eval(ONE, [LOW], ['x']);
    await driver.command(HIGH, ['EXISTS', HIGH]);
    await driver.command(undefined, ['PING']);
    expect(heard(1)).toEqual([`commands: EVAL return 1 1 ${LOW} x`, 'commands: PING']);
    expect(heard(2)).toEqual([`commands: EXISTS ${HIGH}`]);
  });

  it('follow a slot that has moved, and read the map again soon', async () => {
    await opened();
    answerOnce(1, new Error(`MOVED ${slotOf(LOW)} db:2`));
    expect(await driver.eval(ONE, [LOW], [])).toBe('OK');
    await driver.eval(ONE, [LOW], []);
    expect(heard(1)).toHaveLength(1);
    expect(heard(2).map((words) => words.split(' ')[1])).toEqual(['EVAL', 'EVALSHA']);
    await clock.advanceAsync(500);
    // It has not moved, says the map.
    await driver.eval(ONE, [LOW], []);
    expect(heard(1)).toHaveLength(1);
  });

  it('take a move without a host for one to another port of the same', async () => {
    await opened();
    answerOnce(1, new Error(`MOVED ${slotOf(LOW)} :2`));
    await driver.eval(ONE, [LOW], []);
    expect(heard(2)).toHaveLength(1);
  });

  it('ask where a slot is on its way to, for that one time', async () => {
    await opened();
    answerOnce(1, new Error(`ASK ${slotOf(LOW)} db:2`));
    expect(await driver.eval(ONE, [LOW], [])).toBe('OK');
    expect(heard(2)).toEqual(['commands: ASKING', `commands: EVAL return 1 1 ${LOW}`]);
    heard(1);
    await driver.eval(ONE, [LOW], []);
    expect(heard(1)).toEqual([`commands: EVAL return 1 1 ${LOW}`]);
    expect(heard(2)).toEqual([]);
  });

  it('follow five times, and no more', async () => {
    await opened();
    answerOnce(1, new Error(`MOVED ${slotOf(LOW)} db:1`), 5);
    expect(await driver.eval(ONE, [LOW], [])).toBe('OK');
    answerOnce(1, new Error(`MOVED ${slotOf(LOW)} db:1`), 6);
    expect((await failure(driver.eval(ONE, [LOW], []))).message).toContain('MOVED');
    expect(heard(1)).toHaveLength(12);
  });

  it('bring a script along again where a node has forgotten it', async () => {
    await opened();
    await driver.eval(ONE, [LOW], []);
    answerOnce(1, new Error('NOSCRIPT No matching script'));
    expect(await driver.eval(ONE, [LOW], [])).toBe('OK');
    answerOnce(1, new Error('OOM command not allowed'));
    expect((await failure(driver.eval(ONE, [LOW], []))).message).toContain('OOM');
    expect(heard(1).map((words) => words.split(' ')[1])).toEqual(['EVAL', 'EVALSHA', 'EVAL', 'EVALSHA']);
  });

  it('fail for a slot that no node has, and look whether one has got it', async () => {
    slots = [[0, MIDDLE - 1, ['db', 1, 'id']]];
    await opened();
    const error = await failure(driver.eval(ONE, [HIGH], []));
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(error.message).toBe(`Redis (cluster) is not available: no node has the slot ${slotOf(HIGH)}`);
    slots = halves(1, 2);
    await clock.advanceAsync(499);
    await failure(driver.eval(ONE, [HIGH], []));
    await clock.advanceAsync(1);
    expect(await driver.eval(ONE, [HIGH], [])).toBe('OK');
  });

  it('read the map again soon when a node says that the cluster is down, and not after any other refusal', async () => {
    await opened();
    const reads = (): number =>
      at(1)
        .heard()
        .filter((words) => words.includes('CLUSTER SLOTS')).length;
    answerOnce(1, new Error('OOM command not allowed'));
    await failure(driver.eval(ONE, [LOW], []));
    await clock.advanceAsync(5_000);
    expect(reads()).toBe(0);
    answerOnce(1, new Error('CLUSTERDOWN Hash slot not served'));
    expect((await failure(driver.eval(ONE, [LOW], []))).isTransient).toBe(true);
    await clock.advanceAsync(5_000);
    expect(reads()).toBe(1);
  });

  it('are waited for where a slot has moved to a node that is not connected yet', async () => {
    await opened();
    answerOnce(1, new Error(`MOVED ${slotOf(LOW)} db:3`));
    expect(await driver.eval(ONE, [LOW], [])).toBe('OK');
    expect(heard(3)).toEqual([`commands: EVAL return 1 1 ${LOW}`]);
  });

  it('are down once while one of them is, and up when all are again', async () => {
    await opened();
    at(1).refusal = new Error('connect ECONNREFUSED');
    at(1).drop();
    await clock.advanceAsync(2_000);
    expect(told.take()).toEqual(['down UNAVAILABLE']);
    expect(await driver.command(undefined, ['PING'])).toBe('OK');
    expect(await driver.eval(ONE, [HIGH], [])).toBe('OK');
    expect((await failure(driver.eval(ONE, [LOW], []))).isTransient).toBe(true);
    at(1).refusal = undefined;
    await clock.advanceAsync(1_000);
    expect(told.take()).toEqual(['up']);
    at(1).drop();
    expect(told.take()).toEqual(['down UNAVAILABLE']);
  });

  it('follow a failover', async () => {
    await opened();
    at(1).refusal = new Error('connect ECONNREFUSED');
    at(1).drop();
    slots = halves(3, 2);
    await clock.advanceAsync(1_000);
    expect(told.take()).toEqual(['down UNAVAILABLE', 'up']);
    await driver.eval(ONE, [LOW], []);
    expect(heard(3)).toEqual([`commands: EVAL return 1 1 ${LOW}`]);
    // The old one is not dialed any more.
    at(1).refusal = undefined;
    await clock.advanceAsync(5_000);
    expect(at(1).live).toEqual([]);
  });

  it('are found anew where none of the known nodes answers', async () => {
    await opened();
    for (const port of [1, 2]) {
      at(port).refusal = new Error('connect ECONNREFUSED');
      at(port).drop();
    }
    expect((await failure(driver.command(undefined, ['PING']))).message).toContain('no node is connected');
    let looks = 0;
    find = async () => void looks++;
    await clock.advanceAsync(5_000);
    // Less and less often.
    expect(looks).toBeGreaterThan(5);
    expect(looks).toBeLessThan(40);
    for (const port of [1, 2]) at(port).refusal = undefined;
    await clock.advanceAsync(2_000);
    expect(told.take()).toEqual(['down UNAVAILABLE', 'up']);
  });

  it('do not wait for ever for nodes that are silent', async () => {
    find = () => NEVER;
    const error = failure(driver.open(told));
    await clock.advanceAsync(1_999);
    find = async () => undefined;
    await clock.advanceAsync(1);
    expect((await error).message).toBe('Redis (cluster) is not available: no node answers');
    await clock.advanceAsync(1_000);
    expect(told.take()).toEqual(['up']);
  });

  it('end after a start that cannot succeed', async () => {
    at(2).refusal = new Error('WRONGPASS no');
    expect(await failure(driver.open(told))).toBeInstanceOf(AuthError);
    await clock.advanceAsync(10_000);
    expect([at(1).live, at(2).live]).toEqual([[], []]);
    const watching = newDriver(true);
    expect(await failure(watching.open(told))).toBeInstanceOf(UnsupportedError);
    expect(await failure(watching.watch())).toBeInstanceOf(UnsupportedError);
  });

  it('leave alone the node of another key when one is dropped', async () => {
    await opened();
    const [one, two] = [at(1).live[0], at(2).live[0]];
    driver.kick(HIGH);
    await clock.advanceAsync(500);
    expect([at(1).live[0] === one, at(2).live[0] === two]).toEqual([true, false]);
    driver.kick();
    await clock.advanceAsync(500);
    expect(at(1).live[0] === one).toBe(false);
    expect(told.take()).toEqual(['down UNAVAILABLE', 'up', 'down UNAVAILABLE', 'up']);
  });

  it('are gone when they are closed, and nothing is said of that', async () => {
    await opened();
    await driver.subscribe(`dfl:{${LOW}}x`);
    told.take();
    const events = [...nodes.values()].flatMap(({ live }) => live.map((one) => one.events));
    const open = failure(driver.eval({ ...ONE, sha1: 'x' }, [LOW], []));
    at(1).answer = () => NEVER;
    const late = failure(driver.eval(ONE, [LOW], []));
    await driver.close();
    await open.catch(() => undefined);
    expect(await late).toBeInstanceOf(ShuttingDownError);
    for (const one of events) one.closed(new Error('late'));
    driver.kick();
    await clock.advanceAsync(10_000);
    expect(told.take()).toEqual([]);
    expect([at(1).live, at(2).live]).toEqual([[], []]);
    expect(clock.pendingTimers).toBe(0);
  });

  describe('their channels', () => {
    const [low, high] = [`dfl:{${LOW}}x`, `dfl:{${HIGH}}x`];

    it('are refused before there is a connection', async () => {
      expect((await failure(driver.subscribe(low))).message).toContain('not connected');
      driver.unsubscribe(low);
    });

    it('are on the masters of their slots, each on a connection of its own', async () => {
      await opened();
      await driver.subscribe(low);
      await driver.subscribe(high);
      at(2).publish(high, 'hello');
      expect(told.take()).toEqual([`subscribed ${low}`, `subscribed ${high}`, `${high}: hello`]);
      driver.unsubscribe(high);
      await settlePromises();
      expect(heard(1)).toEqual([`subscriber: SSUBSCRIBE ${low}`]);
      expect(heard(2)).toEqual([`subscriber: SSUBSCRIBE ${high}`, `subscriber: SUNSUBSCRIBE ${high}`]);
    });

    it('go along with a slot that moves', async () => {
      await opened();
      await driver.subscribe(low);
      slots = halves(2, 1);
      driver.kick(HIGH);
      await clock.advanceAsync(1_000);
      expect(heard(2)).toContain(`subscriber: SSUBSCRIBE ${low}`);
      expect(told.take().filter((event) => event.startsWith('subscribed'))).toHaveLength(2);
      // The old node has ended the subscription by itself.
      expect(heard(1)).not.toContain(`subscriber: SUNSUBSCRIBE ${low}`);
    });

    it('are asked for where the slot is now', async () => {
      await opened();
      const { answer } = at(1);
      at(1).answer = (words, role) => {
        slots = halves(2, 2);
        return role === 'subscriber' ? new Error(`MOVED ${slotOf(low)} db:2`) : answer(words, role);
      };
      await driver.subscribe(low);
      expect(heard(2)).toContain(`subscriber: SSUBSCRIBE ${low}`);
    });

    it('are not looked for without end', async () => {
      await opened();
      const { answer } = at(1);
      at(1).answer = (words, role) =>
        role === 'subscriber' ? new Error(`MOVED ${slotOf(low)} db:2`) : answer(words, role);
      expect((await failure(driver.subscribe(low))).message).toContain('MOVED');
      expect(heard(1).length).toBeLessThanOrEqual(6);
    });

    it('are down with their connections, and stand again before they are up', async () => {
      await opened();
      await driver.subscribe(low);
      told.take();
      at(1).drop('subscriber');
      expect(told.take()).toEqual(['down UNAVAILABLE']);
      await clock.advanceAsync(1_000);
      expect(told.take()).toEqual(['up', `subscribed ${low}`]);
    });

    it('are all on one node where Redis is older than 7, and on another one when that is lost', async () => {
      at(1).info = { redis_version: '6.2.0', role: 'master' };
      await opened();
      expect(driver.isSharded).toBe(false);
      await driver.subscribe(low);
      await driver.subscribe(high);
      expect(heard(1)).toEqual([`subscriber: SUBSCRIBE ${low}`, `subscriber: SUBSCRIBE ${high}`]);
      expect(heard(2)).toEqual([]);
      at(1).refusal = new Error('connect ECONNREFUSED');
      at(1).drop();
      await clock.advanceAsync(2_000);
      expect(heard(2)).toEqual([`subscriber: SUBSCRIBE ${low}`, `subscriber: SUBSCRIBE ${high}`]);
      driver.unsubscribe(low);
      await settlePromises();
      expect(heard(2)).toEqual([`subscriber: UNSUBSCRIBE ${low}`]);
    });
  });
});
