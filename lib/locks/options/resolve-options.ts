import { ConfigError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { checkBounds } from './bounds.js';
import { type BackendChoice, chooseBackend, shownBackend, type ShownBackend } from './choose-backend.js';
import { checkNamespace } from './keys.js';
import { checkNames, checkObject, wrong } from '../../common/option-checks.js';
import { DEFAULT_RENEW_RATIO } from '../lease/renewal-times.js';
import { type LeaseLimits, leaseWithin } from './backend-limits.js';
import type { LockClientOptions } from './options.js';

/** The options of a client other than where its locks live: checked and complete. */
export interface ResolvedSettings {
  readonly namespace: string | undefined;
  readonly acquireTimeoutMs: Ms;
  /** 0: the server's default. */
  readonly leaseMs: Ms;
  readonly startup: 'connect' | 'require' | 'lazy';
  readonly shutdownTimeoutMs: Ms;
  /** How long a body may hold its lock; Infinity: no limit. */
  readonly maxHoldMs: Ms;
  readonly renewRatio: number;
}

/** The options of a client: checked, complete, frozen. */
export interface ResolvedOptions extends ResolvedSettings {
  readonly backend: BackendChoice;
}

/** The options as they may be shown: for a secret, only whether it is set. */
export interface ShownOptions extends ResolvedSettings {
  readonly backend: ShownBackend;
}

/** @param name the backend's own name */
export function shownOptions(options: ResolvedOptions, name: string): ShownOptions {
  return Object.freeze({ ...options, backend: Object.freeze(shownBackend(options.backend, name)) });
}

const DEFAULT_ACQUIRE_TIMEOUT_S = 10;
const DEFAULT_SHUTDOWN_TIMEOUT_S = 10;
const STARTUPS = ['connect', 'require', 'lazy'];

const KNOWN = [
  'servers', 'remote', 'embedded', 'backend', 'acquireTimeoutS', 'leaseTtlS', 'namespace', 'startup', 'shutdownTimeoutS',
  'maxHoldS', 'renewRatio',
]; // prettier-ignore

/** The wait in milliseconds. @throws ConfigError */
export const checkAcquireTimeout = (value: unknown): Ms | undefined => {
  const seconds = checkBounds('acquireTimeoutS', value);
  return seconds === undefined ? undefined : seconds * 1000;
};

/** The lease in milliseconds, as the backend can grant it. @throws ConfigError */
export const checkLease = (value: unknown, limits?: LeaseLimits): Ms | undefined => {
  const seconds = checkBounds('leaseTtlS', value);
  if (seconds === undefined) return undefined;
  return limits ? leaseWithin(seconds * 1000, limits) : seconds * 1000;
};

/** The maximum hold of a body, in milliseconds. @throws ConfigError */
export const checkMaxHold = (value: unknown): Ms | undefined => {
  const seconds = checkBounds('maxHoldS', value);
  return seconds === undefined ? undefined : seconds * 1000;
};

/** @throws ConfigError that names the option and the value */
export function resolveOptions(given: LockClientOptions<unknown> = {}): ResolvedOptions {
  const options = checkObject('options', given);
  checkNames('', options, KNOWN);
  const { startup = 'connect' } = options;
  if (!STARTUPS.includes(startup as string)) throw wrong('startup', `one of ${STARTUPS.join(', ')}`, startup);
  const backend = chooseBackend(options);
  return Object.freeze({
    namespace: checkNamespace(options.namespace),
    acquireTimeoutMs: checkAcquireTimeout(options.acquireTimeoutS) ?? DEFAULT_ACQUIRE_TIMEOUT_S * 1000,
    leaseMs: checkLease(options.leaseTtlS) ?? 0,
    startup: startup as ResolvedOptions['startup'],
    shutdownTimeoutMs: (checkBounds('shutdownTimeoutS', options.shutdownTimeoutS) ?? DEFAULT_SHUTDOWN_TIMEOUT_S) * 1000,
    maxHoldMs: checkMaxHold(options.maxHoldS) ?? Infinity,
    renewRatio: checkRenewRatio(options.renewRatio, given.remote?.renewRatio),
    backend,
  });
}

/** @param remote `remote.renewRatio`, checked: the option's earlier place, from before there were other backends */
function checkRenewRatio(value: unknown, remote: number | undefined): number {
  const renewRatio = checkBounds('renewRatio', value);
  if (renewRatio !== undefined && remote !== undefined && renewRatio !== remote) {
    throw new ConfigError(
      `options renewRatio (${renewRatio}) and remote.renewRatio (${remote}) contradict each other: they are the same, give one`,
    );
  }
  return renewRatio ?? remote ?? DEFAULT_RENEW_RATIO;
}
