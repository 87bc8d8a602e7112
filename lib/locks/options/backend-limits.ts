import type { Capabilities, LockBackend } from '../../backends/backend.js';
import { checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import { HASH_BYTES } from '../../common/hashed-key.js';
import { shown } from '../../common/shown.js';
import type { Ms } from '../../common/system.js';

/** The lease limits of a backend. */
export type LeaseLimits = Pick<Capabilities, 'leaseUnitMs' | 'minLeaseMs'>;

/**
 * The key and lease limits of a backend. Read once, before its start: a key must name the same lock for as long as its
 * client lives.
 */
export interface BackendLimits extends LeaseLimits {
  readonly maxKeyBytes: number;
  /** 0: no advice. */
  readonly adviseLeaseMs: Ms;
  /** Infinity: only leases bound it. */
  readonly maxStallMs: Ms;
}

/** @throws ConfigError for invalid capabilities */
export function limitsOf(backend: LockBackend): BackendLimits {
  const given = checkObject('backend.capabilities', backend.capabilities);
  const { maxKeyBytes } = given;
  if (maxKeyBytes !== Infinity && !(Number.isSafeInteger(maxKeyBytes) && (maxKeyBytes as number) >= HASH_BYTES)) {
    throw wrong('backend.capabilities.maxKeyBytes', `an integer of at least ${HASH_BYTES}, or Infinity`, maxKeyBytes);
  }
  const time = (name: keyof Capabilities, otherwise?: Ms): Ms =>
    checkNumber(`backend.capabilities.${name}`, given[name] ?? otherwise ?? NaN, { min: 0 })!;
  return Object.freeze({
    maxKeyBytes: maxKeyBytes as number,
    leaseUnitMs: time('leaseUnitMs'),
    minLeaseMs: time('minLeaseMs'),
    adviseLeaseMs: time('adviseLeaseMs', 0),
    maxStallMs: given['maxStallMs'] === undefined ? Infinity : time('maxStallMs'),
  });
}

/** The lease to request: at least the minimum, in whole units. 0 is the server's default. */
export function leaseWithin(leaseMs: Ms, { leaseUnitMs, minLeaseMs }: LeaseLimits): Ms {
  if (leaseMs === 0) return 0;
  const least = Math.max(leaseMs, minLeaseMs);
  return leaseUnitMs > 0 ? Math.ceil(least / leaseUnitMs) * leaseUnitMs : least;
}

const seconds = (ms: Ms): string => `${ms / 1000} s`;

/** A warning about a lease that is allowed but unwise. @param leaseMs as it was set; 0: it was not */
export function leaseWarning(
  leaseMs: Ms,
  { leaseUnitMs, minLeaseMs, adviseLeaseMs, maxStallMs }: BackendLimits,
  name: string,
): string | undefined {
  if (leaseMs === 0) return undefined;
  const [given, backend] = [`leaseTtlS ${leaseMs / 1000}`, shown(name)];
  if (leaseMs < minLeaseMs)
    return `${given}: the shortest lease of ${backend} is ${seconds(minLeaseMs)}, which is used`;
  if (leaseMs > maxStallMs) {
    return `${given}: on ${backend}, a process that stands still for ${seconds(maxStallMs)} loses its locks before their leases end`;
  }
  if (leaseMs >= adviseLeaseMs) return undefined;
  const counts = leaseUnitMs === 1000 ? `${backend} counts whole seconds; below` : `on ${backend} below`;
  return `${given}: ${counts} ${seconds(adviseLeaseMs)} a slow renewal costs the lock`;
}
