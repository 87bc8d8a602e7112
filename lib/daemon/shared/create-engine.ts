import type { Clock, Entropy } from '../../common/system.js';
import { EngineDriver } from '../../core/driver.js';
import { Engine } from '../../core/engine.js';
import type { EngineObserver } from '../../core/observer.js';
import { FencedTokens, type FenceSource, fenceSeed } from '../../core/tokens.js';
import type { EngineOptions } from '../../core/types.js';
import type { DaemonLogger } from './logger.js';
import type { ResolvedServerOptions } from './options.js';

/** The options of a server that concern its engine. */
export type EngineSettings = Pick<
  ResolvedServerOptions,
  'defaultLeaseTtl' | 'leaseSweepInterval' | 'gcInterval' | 'gcMaxIdle' | 'maxLocks' | 'maxWaiters' | 'maxSubscriptions'
>;

const seconds = (s: number): number => s * 1000;

/** The options of the engine, in its units. */
export const engineOptionsOf = (options: EngineSettings): EngineOptions => ({
  defaultLeaseMs: seconds(options.defaultLeaseTtl),
  sweepIntervalMs: seconds(options.leaseSweepInterval),
  gcIntervalMs: seconds(options.gcInterval),
  gcMaxIdleMs: seconds(options.gcMaxIdle),
  maxLocks: options.maxLocks,
  maxWaiters: options.maxWaiters,
  maxSubscriptions: options.maxSubscriptions,
});

/**
 * Creates an engine from a server's options, and its driver: the only place in lib that does.
 * @param fences says which fences may be issued; default: those above the wall clock
 */
export function createEngine(
  options: EngineSettings,
  clock: Clock,
  entropy: Entropy,
  log: DaemonLogger,
  observer?: EngineObserver,
  fences?: FenceSource,
): EngineDriver {
  const engine = new Engine(
    {
      ...engineOptionsOf(options),
      onNearlyFull: (keys) =>
        log('warn', 'close to max-locks: released keys count for about a minute; raise the limit', {
          keys,
          maxLocks: options.maxLocks,
        }),
      observer,
    },
    new FencedTokens(entropy, fenceSeed(clock.wall()), fences),
    clock.now(),
  );
  return new EngineDriver(engine, clock);
}
