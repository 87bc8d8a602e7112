import { LockKeyError } from '../../../common/errors.js';
import { shown } from '../../../common/shown.js';

/** The slots of a cluster. */
export const SLOTS = 16_384;

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The part of a key that decides on its slot: what stands between the first `{` and the next `}`, if anything does. */
function hashed(key: string): string {
  const open = key.indexOf('{');
  const end = key.indexOf('}', open + 1);
  return open >= 0 && end > open + 1 ? key.slice(open + 1, end) : key;
}

const crc16 = (crc: number, byte: number): number => ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ byte]!;

/** CLUSTER KEYSLOT. */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashed(key))) crc = crc16(crc, byte);
  return crc % SLOTS;
}

let tags: readonly string[] | undefined;

/** For each slot the shortest number to the base 36 that is hashed to it. Takes some milliseconds, once. */
function slotTags(): readonly string[] {
  if (tags) return tags;
  const found = new Array<string>(SLOTS);
  for (let number = 0, missing = SLOTS; missing > 0; number++) {
    const tag = number.toString(36);
    // Only ASCII: without a buffer for each of some 170,000.
    let crc = 0;
    for (let i = 0; i < tag.length; i++) crc = crc16(crc, tag.charCodeAt(i));
    const slot = crc % SLOTS;
    if (found[slot] !== undefined) continue;
    found[slot] = tag;
    missing--;
  }
  return (tags = found);
}

/** The keys that the scripts need for one lock. In a cluster all of them are in one slot. */
export interface LockKeys {
  /** The plain key, whose value is the token of the holder. */
  readonly key: string;
  readonly queue: string;
  /** Until when the clients in the queue count as alive. */
  readonly alive: string;
  /** The counter of the fences: one for all, in a cluster one for each slot. */
  readonly fence: string;
  /** In a cluster the tag of the slot, empty otherwise: an argument of the scripts, and part of sharded channels. */
  readonly tag: string;
}

/** Those for a semaphore; `key` is the set of its holders. */
export interface SemaphoreKeys extends LockKeys {
  /** The limit, while anybody holds or waits. */
  readonly limit: string;
}

/**
 * The beginning of the companion keys, in the slot of the key: the key in braces, or with a tag of its own as it is. A key
 * without such a tag that contains `}` cannot be put in braces, because less of it would be hashed: in a cluster a tag of the
 * same slot stands in front of it. The last character tells the three apart, so that no two keys share a queue: `a` and
 * `{a}` would.
 */
function companion(key: string, isCluster: boolean): string {
  if (hashed(key) !== key) return `${key}:`;
  return isCluster && key.includes('}') ? `{${slotTags()[slotOf(key)]}}${key}+` : `{${key}}`;
}

/** The counter of fences. */
const FENCE = 'dflockd:fence';

/**
 * Refuses the names of the counters of fences, which some prefixes make possible.
 * @param key the full key, prefixes included
 * @throws LockKeyError
 */
export function refuseCounter(key: string): void {
  if (key !== FENCE && !key.startsWith(`${FENCE}:{`)) return;
  throw new LockKeyError(
    `the key would be "${shown(key)}" in Redis, which counts fences; use another prefix or another key`,
  );
}

/** @param key the full key, prefixes included */
export function lockKeys(key: string, isCluster: boolean): LockKeys {
  const beginning = companion(key, isCluster);
  const tag = isCluster ? slotTags()[slotOf(key)]! : '';
  return {
    key,
    queue: `${beginning}:q`,
    alive: `${beginning}:l`,
    fence: isCluster ? `${FENCE}:{${tag}}` : FENCE,
    tag,
  };
}

/** @param key the full key, prefixes included */
export function semaphoreKeys(key: string, isCluster: boolean): SemaphoreKeys {
  return { ...lockKeys(key, isCluster), limit: `${companion(key, isCluster)}:n` };
}
