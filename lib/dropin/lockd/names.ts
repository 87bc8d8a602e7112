import { LockKeyError } from '../../common/errors.js';
import { kindOf } from '../../common/kind-of.js';
import { shown } from '../../common/shown.js';
import { LOCKD_LINE_CAP } from '../../protocol/lockd/limits.js';

/** Most bytes of a name: of the longest command, the rest of the line. */
const MOST_BYTES = LOCKD_LINE_CAP - 'who '.length;

/**
 * Refuses a name that would be sent as something else: as two commands, or as another name.
 * @throws LockKeyError
 */
export function checkLockdName(name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new LockKeyError(`a name must be a string, got ${kindOf(name)}`);
  const fault = faultOf(name);
  if (fault !== undefined) throw new LockKeyError(`the name "${shown(name)}" ${fault}`, { key: name });
}

function faultOf(name: string): string | undefined {
  if (name.includes('\n')) return 'has a line break';
  if (name.endsWith('\r')) return 'ends with a carriage return';
  if (/\p{Cs}/u.test(name)) return 'has a lone surrogate';
  const bytes = name.length * 3 <= MOST_BYTES ? 0 : Buffer.byteLength(name);
  return bytes > MOST_BYTES ? `has ${bytes} bytes, more than ${MOST_BYTES}` : undefined;
}
