import { lockIdOf } from './lock-id.js';

/** The advisory locks of a semaphore. */
export interface SlotIds {
  /** Whoever waits stands in the queue of this lock, which keeps the order. */
  readonly gate: bigint;
  readonly slots: readonly bigint[];
  /** What the head of the queue listens to. */
  readonly channel: string;
}

/** @param key with its namespace */
export function slotIdsOf(key: string, limit: number): SlotIds {
  const gate = lockIdOf('sem', key);
  return {
    gate,
    slots: Array.from({ length: limit }, (_, i) => BigInt.asIntN(64, gate + BigInt(i + 1))),
    channel: `dfl${BigInt.asUintN(64, gate).toString(16).padStart(16, '0')}`,
  };
}
