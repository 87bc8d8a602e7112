import { LockKeyError } from '../../../common/errors.js';
import { wrong } from '../../../common/option-checks.js';
import { show, shown } from '../../../common/shown.js';
import { isThenable } from '../../../common/thenables.js';
import type { LockKind } from '../../backend.js';
import { type AdvisoryId, lockIdOf } from './lock-id.js';

/**
 * The option `lockId`: how a key becomes the id of an advisory lock, for programs that share locks with others. It must
 * be the same in all programs.
 *
 * - `'sha256'`: 64 bits of a hash
 * - `'hashtext'`, `'hashtextextended'`: the server's hash of the key, by the function of that name (the latter with the
 *   seed 0). For locks only. `hashtext` has 32 bits: among 77,000 keys, two of the same id are as likely as not.
 * - a function that returns a 64-bit id, or two 32-bit ids for the space of `pg_advisory_lock(int, int)`
 */
export type LockIds =
  'sha256' | 'hashtext' | 'hashtextextended' | ((key: string, kind: LockKind) => bigint | readonly [number, number]);

const NAMED: readonly unknown[] = ['sha256', 'hashtext', 'hashtextextended'];

/**
 * @param option its name, for the error
 * @throws ConfigError
 */
export function checkLockIds(option: string, value: unknown): LockIds {
  if (value === undefined) return 'sha256';
  if (typeof value === 'function' || NAMED.includes(value)) return value as LockIds;
  throw wrong(option, `'sha256', 'hashtext', 'hashtextextended' or a function`, value);
}

/** The function with which the server computes the id. */
export interface ServerHash {
  readonly hash: 'hashtext' | 'hashtextextended';
}

export const isServerHash = (id: AdvisoryId | ServerHash): id is ServerHash => typeof id === 'object' && 'hash' in id;

/**
 * The id of a key, or the function with which the server computes it.
 * @param key with its namespace
 * @param option the name of the option, for errors
 * @throws LockKeyError if a function returns something else, or throws
 */
export function advisoryIdOf(ids: LockIds, kind: LockKind, key: string, option: string): AdvisoryId | ServerHash {
  if (ids === 'sha256') return lockIdOf(kind, key);
  if (typeof ids === 'string') return { hash: ids };
  let id: unknown;
  try {
    id = ids(key, kind);
  } catch (cause) {
    throw new LockKeyError(`option ${option} threw for the key "${shown(key)}"`, { key, cause });
  }
  if (isId(id)) return id;
  // Of an async function: the error says enough.
  if (isThenable(id)) id.then(undefined, () => undefined);
  throw new LockKeyError(
    `option ${option} must return a bigint of 64 bits or two integers of 32 bits, got ${show(id)} for the key "${shown(key)}"`,
    { key },
  );
}

function isId(id: unknown): id is AdvisoryId {
  if (typeof id === 'bigint') return BigInt.asIntN(64, id) === id;
  return Array.isArray(id) && id.length === 2 && id.every((half) => Number.isInteger(half) && (half | 0) === half);
}
