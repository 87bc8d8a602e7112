import { ConfigError, LockKeyError } from '../../common/errors.js';
import { kindOf } from '../../common/kind-of.js';
import { shown } from '../../common/shown.js';
import { toBytes, trimBytes } from '../../protocol/bytes.js';
import { LINE_CAP, SIGNAL_LINE_CAP } from '../../protocol/limits.js';
import { isChannel, isPattern } from '../../protocol/patterns.js';
import { checkKey } from '../options/keys.js';

const quoted = (value: unknown): string => (typeof value === 'string' ? `"${shown(value)}"` : shown(value));

/** Bytes of `sig <channel> <payload>` besides channel and payload (spec 6.2). */
const FRAME_BYTES = 'sig  '.length;

function checkName(what: string, name: unknown): asserts name is string {
  try {
    checkKey(name);
  } catch (error) {
    throw new LockKeyError(`${what} ${quoted(name)}: ${(error as Error).message}`, { cause: error });
  }
  if (Buffer.byteLength(name) > LINE_CAP)
    throw new LockKeyError(`${what} ${quoted(name)} has more than ${LINE_CAP} bytes`);
}

/** @throws LockKeyError */
export function checkChannel(channel: unknown): asserts channel is string {
  checkName('the channel', channel);
  if (!isChannel(channel)) throw new LockKeyError(`the channel ${quoted(channel)} has a wildcard (* or >)`);
}

/** @throws LockKeyError */
export function checkPattern(pattern: unknown): asserts pattern is string {
  checkName('the pattern', pattern);
  if (isPattern(pattern)) return;
  throw new LockKeyError(`the pattern ${quoted(pattern)}: * must be a whole token, > the whole last token`);
}

/** @throws LockKeyError */
export function checkGroup(group: unknown): asserts group is string | undefined {
  if (group !== undefined) checkName('the group', group);
}

/** @throws ConfigError */
export function checkPayload(channel: string, payload: unknown): asserts payload is string {
  if (typeof payload !== 'string') throw new ConfigError(`the payload must be a string, got ${kindOf(payload)}`);
  if (/[\0\r\n]/.test(payload)) throw new ConfigError(`the payload ${quoted(payload)} contains NUL, CR or LF`);
  if (trimBytes(toBytes(payload)) === '') throw new ConfigError(`the payload ${quoted(payload)} is blank`);
  const most = SIGNAL_LINE_CAP - FRAME_BYTES - Buffer.byteLength(channel);
  const bytes = Buffer.byteLength(payload);
  if (bytes > most) throw new ConfigError(`the payload has ${bytes} bytes; the maximum on this channel is ${most}`);
}
