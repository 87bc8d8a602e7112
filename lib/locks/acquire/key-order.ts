import { toBytes } from '../../protocol/bytes.js';
import { checkCount, wireKey } from '../options/keys.js';
import type { BackendLimits } from '../options/backend-limits.js';
import type { LockKey } from '../options/options.js';
import type { ResolvedOptions } from '../options/resolve-options.js';

interface Names {
  /** As the caller wrote them. */
  readonly keys: readonly string[];
  /** The same keys as they are sent to the server. */
  readonly wires: readonly string[];
}

interface KeyRules extends Pick<ResolvedOptions, 'namespace'> {
  readonly limits: Pick<BackendLimits, 'maxKeyBytes'>;
}

/**
 * Several keys are acquired in the order of their bytes on the wire, not in the caller's: since all processes use the
 * same order, no circular wait (deadlock) can arise.
 * @throws LockKeyError
 */
export function orderedKeys(key: LockKey, { namespace, limits: { maxKeyBytes } }: KeyRules): Names {
  if (!Array.isArray(key)) {
    return { keys: [key as string], wires: [wireKey(namespace, key, maxKeyBytes)] };
  }
  checkCount(key);
  const byBytes = new Map<string, { readonly key: string; readonly wire: string }>();
  for (const one of key as readonly string[]) {
    const wire = wireKey(namespace, one, maxKeyBytes);
    byBytes.set(toBytes(wire), { key: one, wire });
  }
  const names = [...byBytes.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name);
  return { keys: names.map((name) => name.key), wires: names.map((name) => name.wire) };
}
