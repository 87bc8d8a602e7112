import { hash } from 'node:crypto';
import type { LockKind } from '../../backend.js';

/** Only the hash of a key is sent. Longer keys are cut as for every backend, which bounds what is hashed. */
export const MAX_KEY_BYTES = 65_536;

/** An advisory lock of Postgres: one 64-bit id, or two 32-bit ids in a space of their own. */
export type AdvisoryId = bigint | readonly [number, number];

/**
 * The id of the advisory lock that stands for a key: the first 8 bytes of `sha256('dflockd:<kind>:<key>')` as a signed
 * integer, big endian. In SQL, for a lock:
 * `('x' || encode(substr(sha256(convert_to('dflockd:lock:' || key, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint`.
 * @param key with its namespace
 */
export function lockIdOf(kind: LockKind, key: string): bigint {
  return hash('sha256', `dflockd:${kind}:${key}`, 'buffer').readBigInt64BE(0);
}
