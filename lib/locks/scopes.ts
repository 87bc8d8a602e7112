import { checkObject } from '../common/option-checks.js';
import type { Clock, Ms } from '../common/system.js';
import type { AcquireOptions } from './acquire/acquire-options.js';
import { NO_OPTIONS } from './acquire/checked-acquire.js';
import type { Hold, LockedCall } from './handle/hold.js';
import type { Holds } from './handle/holds.js';
import { refuseLiveBody } from './handle/refuse-live-result.js';
import type { LockHandle } from './handle/lock-handle.js';
import { type HoldTimes, holdTimes } from './handle/minimum-hold.js';
import {
  checkOnLost,
  checkWork,
  LockScope,
  resultAfter,
  type ResultCheck,
  type ScopeOptions,
  type LockBodyOptions,
} from './lock-scope.js';
import type { LockKey } from './options/options.js';

/** The arguments of LockClient.withLock after the key. */
export type LockBodyArgs<R> =
  [fn: (lock: LockHandle) => R | Promise<R>] | [options: LockBodyOptions, fn: (lock: LockHandle) => R | Promise<R>];

/** @throws the loss if the lock was lost in the turn in which it was granted: no work may begin under it */
function live(hold: Hold): Hold {
  const { loss } = hold;
  if (!loss) return hold;
  void hold.release();
  throw loss;
}

/** `withLock`: acquires a lock for a body. What happens from then on, until the release, is in LockScope. */
export class Scopes {
  private readonly times: HoldTimes;

  /** @param take acquires a lock */
  constructor(
    private readonly take: (key: LockKey, options: AcquireOptions, call?: LockedCall) => Promise<Hold>,
    private readonly holds: Holds,
    private readonly clock: Clock,
    maxHoldMs: Ms,
  ) {
    this.times = { minHoldMs: 0, maxHoldMs };
  }

  async withLock<R>(key: LockKey, args: LockBodyArgs<R>): Promise<R> {
    const [given, fn] = checkWork<LockBodyOptions, (lock: LockHandle) => R | Promise<R>>(args);
    const { onLost = 'throw', ...options } = given;
    checkOnLost(onLost);
    // The identity of NO_OPTIONS tells that there is nothing to check.
    const scope = await this.open(key, given === NO_OPTIONS ? NO_OPTIONS : options);
    let value: R;
    try {
      value = await scope.run(() => fn(scope.lock));
      refuseLiveBody(value, scope.lock.keys[0]!);
    } catch (error) {
      await scope.leave();
      throw error;
    }
    return resultAfter(await scope.leave(), onLost, value);
  }

  async open(key: LockKey, options: ScopeOptions, call?: LockedCall, check?: ResultCheck): Promise<LockScope> {
    const { holds, clock } = this;
    if (options === NO_OPTIONS) {
      return new LockScope(live(await this.take(key, NO_OPTIONS, call)), holds, clock, this.times, check);
    }
    checkObject('options', options);
    const { minHoldS, maxHoldS, ...acquire } = options;
    const times = holdTimes(minHoldS, maxHoldS, this.times.maxHoldMs);
    return new LockScope(live(await this.take(key, acquire, call)), holds, clock, times, check);
  }
}
