import { hash } from 'node:crypto';

/**
 * A number that processes publish under a name, as an advisory lock in the space of two integers, which all of them share.
 * Whoever reads the locks of that name sees which numbers are published.
 */
export interface PublishedId {
  readonly classId: number;
  /** Eleven bits of the name, then the number. */
  readonly objectId: number;
}

/** The numbers that can be published. */
export const MAX_PUBLISHED = 2 ** 20 - 1;

/** @param number at most `MAX_PUBLISHED` */
export function publishedId(name: string, number: number): PublishedId {
  const bytes = hash('sha256', `dflockd:${name}`, 'buffer');
  return { classId: bytes.readInt32BE(0), objectId: ((bytes.readUInt16BE(4) >>> 5) << 20) | number };
}

/** The number in the id of a lock, as `pg_locks` shows it. */
export const publishedNumber = (objectId: number): number => objectId & MAX_PUBLISHED;

/** Twenty bits of a text, for texts that are published as numbers. */
export const numberOf = (text: string): number => hash('sha256', text, 'buffer').readUInt32BE(0) >>> 12;
