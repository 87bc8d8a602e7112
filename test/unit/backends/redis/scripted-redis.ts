import type { AcquireRequest, Grant, LinkEvent, Pending, Waiter } from '../../../../lib/backends/backend.js';
import type { DriverListener, RedisDriver } from '../../../../lib/backends/redis/drivers/driver.js';
import { type RedisBackendOptions, resolveRedis } from '../../../../lib/backends/redis/options.js';
import { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import type { Script } from '../../../../lib/backends/redis/scripts/script.js';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import type { Ms } from '../../../../lib/common/system.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';

/** One op of a call, as the scripts read it. */
export interface SentOp {
  readonly key: string;
  readonly op: string;
  readonly x: string;
  readonly y: string;
}

/** A call of a script that the test answers. */
export interface SentCall {
  readonly script: string;
  readonly at: Ms;
  readonly ops: SentOp[];
  readonly keys: readonly string[];
  readonly args: readonly string[];
  /** With a reply for each op. */
  answer(...replies: readonly unknown[]): Promise<void>;
  /** With what is no list. */
  reply(reply: unknown): Promise<void>;
  fail(error?: Error): Promise<void>;
}

export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const INFO = 'redis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\nconnected_slaves:0\r\n';

export const lost = (): LockUnavailableError => new LockUnavailableError('the connection has ended');

/** Both kinds of driver, for tests of what must not depend on it. */
export const DRIVERS = [
  ['a driver that gathers the calls of a turn', { writesAtOnce: false }],
  ['a driver that writes at once', { writesAtOnce: true }],
] as const;

/** A Redis whose answers are those that the test gives, on a clock that the test moves. */
export class ScriptedRedis implements RedisDriver {
  readonly isCluster: boolean;
  readonly isSharded: boolean;
  readonly server = 'here:6379';
  readonly keyPrefix = '';
  readonly writesAtOnce: boolean;
  readonly clock = new FakeClock({ now: 1000 });
  readonly events: LinkEvent[] = [];
  readonly warnings: string[] = [];
  readonly subscriptions: { channel: string; done: () => Promise<void>; fail: (error: Error) => Promise<void> }[] = [];
  readonly unsubscribed: string[] = [];
  readonly watched: (readonly string[])[] = [];
  info = INFO;
  /** How many heard the message of the probe. */
  receivers = 1;
  /** Whose connections were dropped. */
  readonly kicked: (string | undefined)[] = [];
  /** The scripts for the usual case are for the test to answer. */
  withSingles = false;
  isClosed = false;
  /** How many of the keys that are watched exist. */
  existing: ((keys: readonly string[]) => number) | undefined;
  listener!: DriverListener;
  private calls: SentCall[] = [];

  constructor({ isCluster = false, isSharded = false, writesAtOnce = false } = {}) {
    this.writesAtOnce = writesAtOnce;
    this.isCluster = isCluster;
    this.isSharded = isSharded;
  }

  /** A backend that has started. */
  async backend(options: RedisBackendOptions = {}): Promise<RedisBackend> {
    const backend = this.newBackend(options);
    await backend.start();
    return backend;
  }

  newBackend(options: RedisBackendOptions = {}): RedisBackend {
    const log = (_level: 'warn', message: string): void => void this.warnings.push(message);
    const host = { clock: this.clock, entropy: new FakeEntropy(), log };
    const backend = new RedisBackend(resolveRedis(options), () => this, host);
    backend.onLink((event) => this.events.push(event));
    return backend;
  }

  /** The calls since it was last asked, as soon as they have been sent. */
  async sent(): Promise<SentCall[]> {
    await turn();
    return this.calls.splice(0);
  }

  /** The only call since; of a driver that writes at once, what was asked in one turn in one. */
  async call(): Promise<SentCall> {
    const calls = await this.sent();
    const [first] = calls;
    if (first && calls.length > 1 && this.writesAtOnce && calls.every(({ script }) => script === first.script)) {
      return inOne(calls);
    }
    if (calls.length !== 1) throw new Error(`expected a call, got ${JSON.stringify(calls)}`);
    return calls[0]!;
  }

  publish(text: string): void {
    this.listener.message('dfl:', text);
  }

  async open(listener: DriverListener): Promise<void> {
    this.listener = listener;
  }

  async eval({ name }: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    if (name === 'probe') return this.receivers;
    // As if there were others: the script that can do everything follows.
    if (name.startsWith('single') && !this.withSingles) return null;
    return new Promise((resolve, reject) => {
      this.calls.push({
        script: name,
        at: this.clock.now(),
        keys,
        args,
        ops: opsOf(name, keys, args),
        answer: (...replies) => {
          resolve(replies);
          return turn();
        },
        reply: (reply) => {
          resolve(reply);
          return turn();
        },
        fail: (error = lost()) => {
          reject(error);
          return turn();
        },
      });
    });
  }

  async command(_key: string | undefined, [name]: readonly string[]): Promise<unknown> {
    return name === 'INFO' ? this.info : 'PONG';
  }

  subscribe(channel: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): Promise<void> => {
        resolve();
        return turn();
      };
      const fail = (error: Error): Promise<void> => {
        reject(error);
        return turn();
      };
      if (this.isSharded) this.subscriptions.push({ channel, done, fail });
      else resolve();
    });
  }

  unsubscribe(channel: string): void {
    this.unsubscribed.push(channel);
  }

  kick(key?: string): void {
    this.kicked.push(key);
  }

  async watch(keys: readonly string[]): Promise<number> {
    this.watched.push(keys);
    return this.existing?.(keys) ?? keys.length;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** Calls of one script that left in one turn, as if they were one: which ops, and in which order. */
function inOne(calls: readonly SentCall[]): SentCall {
  const [first] = calls as readonly [SentCall];
  const each = (tell: (call: SentCall) => Promise<void>): Promise<void> => {
    for (const call of calls) void tell(call);
    return turn();
  };
  return {
    ...first,
    ops: calls.flatMap(({ ops }) => ops),
    answer: (...replies) => {
      const left = [...replies];
      return each((call) => call.answer(...left.splice(0, call.ops.length)));
    },
    reply: (reply) => each((call) => call.reply(reply)),
    fail: (error) => each((call) => call.fail(error)),
  };
}

export function opsOf(name: string, keys: readonly string[], args: readonly string[]): SentOp[] {
  if (name === 'single-acquire') return [{ key: keys[1]!, op: 'q', x: args[0]!, y: args[1]! }];
  if (name === 'single-release') return [{ key: keys[0]!, op: 'r', x: args[0]!, y: '0' }];
  if (name === 'renew') {
    const [lease, tokens] = args as [string, string];
    return keys.map((key, i) => ({ key, op: 'n', x: tokens.slice(32 * i, 32 * (i + 1)), y: lease }));
  }
  const width = name === 'lock' ? 3 : 4;
  return Array.from({ length: (keys.length - 1) / width }, (_, i) => {
    const [op, x, y] = args.slice(3 + i * width);
    return { key: keys[1 + i * width]!, op: op!, x: x!, y: y! };
  });
}

/** A caller who waits, and what it has been told. */
export class Caller implements Waiter {
  readonly places: string[] = [];
  grant: Grant | undefined;
  error: unknown;
  private pending: Pending | undefined;

  constructor(readonly autoRenew = false) {}

  /** @param change of a request for `a`, with a lease of 10 s and a deadline in 60 s */
  static wait(
    backend: RedisBackend,
    clock: FakeClock,
    change: Partial<AcquireRequest> = {},
    autoRenew = false,
  ): Caller {
    const caller = new Caller(autoRenew);
    caller.pending = backend.enqueue(request(clock, change), 'queue', caller);
    return caller;
  }

  cancel(): void {
    this.pending!.cancel();
  }

  onPlaced(place: string): void {
    this.places.push(place);
  }

  granted(grant: Grant): void {
    if (this.grant || this.error) throw new Error('told twice');
    this.grant = grant;
  }

  refused(error: unknown): void {
    if (this.grant || this.error) throw new Error('told twice');
    this.error = error;
  }
}

export const request = (clock: FakeClock, change: Partial<AcquireRequest> = {}): AcquireRequest => ({
  key: 'a',
  kind: 'lock',
  limit: 1,
  leaseMs: 10_000,
  deadline: clock.now() + 60_000,
  ...change,
});

/** A fence as the scripts reply it. */
export const DIGITS = '1700000000000001';
