import { runScript } from '../../backends/redis/drivers/run-script.js';
import { replyCode, typedError } from '../../backends/redis/drivers/redis-errors.js';
import type { RedisClient } from '../../backends/redis/drivers/recognise.js';
import { lockKeys, refuseCounter } from '../../backends/redis/scripts/companion-keys.js';
import { lockScript } from '../../backends/redis/scripts/lock-script.js';
import { renewScript } from '../../backends/redis/scripts/renew-script.js';
import { clientId, memberOf, Salts, tokenOf } from '../../backends/redis/scripts/token.js';
import { AcquireTimeoutError } from '../../common/errors.js';
import { wrong } from '../../common/option-checks.js';
import { type Ms, systemClock, systemEntropy } from '../../common/system.js';
import { type Commands, commandsOf } from './commands.js';
import { Extension } from './extension.js';
import {
  type AcquireOptions,
  checkResource,
  checkTtl,
  type LockConfig,
  type LockOptions,
  resolveAcquire,
  resolveLock,
} from './options.js';

/** How long a waiter of the backend that is served without having been told for certain keeps the lock; its default. */
const LIVENESS_MS = '5000';

/** The script's name for "the key holds something that is no string". */
const WRONGTYPE = 'WRONGTYPE';

/**
 * The class `Lock` of simple-distributed-lock, with the same keys and the same results. It works on the client that it is given, with the
 * scripts of `redisBackend`: its release serves the callers that wait there, and its tries do not overtake them. It never queues itself.
 */
export class Lock {
  readonly #commands: Commands;
  readonly #config: LockConfig;
  readonly #id = clientId('u', systemEntropy);
  readonly #salts = new Salts(systemEntropy);
  /** By key and token. */
  readonly #extensions = new Map<string, Extension>();

  /**
   * @param redis a client of ioredis 5 or newer, or of node-redis 4 or newer, with or without a cluster
   * @throws ConfigError for another client or a wrong option
   */
  constructor(redis: RedisClient, options?: LockOptions) {
    this.#commands = commandsOf(redis);
    this.#config = resolveLock(options);
  }

  /**
   * Takes the lock. Resolves with its token, or with null if somebody else still has it after all tries. If a try fails, rejects
   * with the client's error, without the arguments of the command, which may be secret.
   * @throws ConfigError, LockKeyError before anything is sent
   */
  async acquire(resource: string, options?: AcquireOptions): Promise<string | null> {
    checkResource(resource);
    const { ttl, autoExtend, retryCount, retryDelay } = resolveAcquire(options, this.#config.ttl);
    for (let left = retryCount; ; left--) {
      const token = await this.#try(resource, ttl);
      if (token !== null) {
        if (autoExtend) this.#extendFromNowOn(resource, token, ttl);
        return token;
      }
      if (left === 0) return null;
      await new Promise<void>((resolve) => void systemClock.setTimer(resolve, retryDelay, true));
    }
  }

  /** Frees the lock. Resolves with false if this token does not hold it (any more). Ends `autoExtend` in any case. */
  async release(resource: string, token: string): Promise<boolean> {
    checkResource(resource);
    if (!isToken(token)) return false;
    this.#extensions.get(extensionKey(resource, token))?.stop();
    const reply = await this.#op(resource, 'r', token, '0');
    return reply !== '0' && reply !== WRONGTYPE;
  }

  /**
   * Sets the lease to `ttl` milliseconds from now, by default the `ttl` of this `Lock`; it may become shorter. Resolves with
   * false if this token does not hold the lock (any more).
   * @throws ConfigError before anything is sent
   */
  async extend(resource: string, token: string, ttl?: number): Promise<boolean> {
    checkResource(resource);
    const ms = checkTtl('extend.ttl', ttl) ?? this.#config.ttl;
    return isToken(token) && this.#extend(resource, token, ms);
  }

  /** Whether anybody holds the lock, in this or any other program. */
  async isLocked(resource: string): Promise<boolean> {
    checkResource(resource);
    const key = this.#keyOf(resource);
    return Number(await this.#commands.send(key, ['EXISTS', key])) > 0;
  }

  /**
   * Runs the function under the lock, and releases the lock afterwards, whether or not the function fails. Does not report a lock that
   * was lost meanwhile.
   * @throws ConfigError before anything is sent if `fn` is not a function; AcquireTimeoutError if somebody else still has the
   * lock after all tries; the function is then not called
   */
  async using<T>(resource: string, fn: () => T | Promise<T>, options?: AcquireOptions): Promise<T> {
    if (typeof fn !== 'function') throw wrong('using.fn', 'a function', fn);
    const token = await this.acquire(resource, options);
    if (token === null) throw new AcquireTimeoutError(resource);
    try {
      return await fn();
    } finally {
      // What the function returned or threw counts; the lease ends what could not be released.
      await this.release(resource, token).catch(() => undefined);
    }
  }

  async #try(resource: string, ttl: Ms): Promise<string | null> {
    const salt = this.#salts.next();
    let reply: unknown;
    try {
      reply = await this.#op(resource, 't', salt, `${ttl}`);
    } catch (error) {
      // Without an answer of Redis, it may have been taken.
      if (replyCode(error) === undefined) {
        this.#op(resource, 'c', memberOf(this.#id, salt, ttl), '').catch(() => undefined);
      }
      throw error;
    }
    return typeof reply === 'string' && FENCE.test(reply) ? tokenOf(reply, salt) : null;
  }

  #extendFromNowOn(resource: string, token: string, ttl: Ms): void {
    const key = extensionKey(resource, token);
    const extension = new Extension(
      ttl,
      () => this.#extend(resource, token, ttl),
      () => this.#extensions.delete(key),
    );
    this.#extensions.set(key, extension);
  }

  async #extend(resource: string, token: string, ttl: Ms): Promise<boolean> {
    const key = this.#keyOf(resource);
    const reply = await this.#run(renewScript, key, [key], [`${ttl}`, token]);
    return this.#checked(Array.isArray(reply) ? reply[0] : reply, resource) === '1';
  }

  /** One op of the script of locks. The reply as text: clients give strings, numbers or buffers, as the application likes. */
  async #op(resource: string, op: string, x: string, y: string): Promise<string> {
    const { key, queue, alive, fence, tag } = lockKeys(this.#keyOf(resource), this.#commands.isCluster);
    const args = [this.#id, LIVENESS_MS, tag, op, x, y];
    const [reply] = (await this.#run(lockScript, key, [fence, key, queue, alive], args)) as unknown[];
    return this.#checked(reply, resource);
  }

  #run(script: typeof lockScript, key: string, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return runScript((command) => this.#commands.send(key, command), script, keys, args);
  }

  /** A key that holds something else is held by somebody else. */
  #checked(reply: unknown, resource: string): string {
    if (!Array.isArray(reply)) return String(reply);
    const text = String(reply[1]);
    if (text.startsWith(WRONGTYPE)) return WRONGTYPE;
    throw typedError(text, { server: 'the client', wasAccepted: true, key: resource });
  }

  #keyOf(resource: string): string {
    const key = this.#commands.keyPrefix + this.#config.prefix + resource;
    refuseCounter(key);
    return key;
  }
}

const FENCE = /^\d{16}$/;

const extensionKey = (resource: string, token: string): string => `${token} ${resource}`;

/** `acquire` gives null where it gets nothing. */
function isToken(token: unknown): boolean {
  if (typeof token === 'string') return true;
  if (token === null || token === undefined) return false;
  throw wrong('token', 'the token that acquire has returned', token);
}
