import { strict as assert } from 'node:assert';
import type { Capabilities, LockBackend } from '../../backends/backend.js';
import type { LockError } from '../../common/errors.js';
import type { TestWorld } from './world.js';

/** Two processes that share the same locks. */
export interface TwoProcesses {
  readonly world: TestWorld;
  readonly a: LockBackend;
  readonly b: LockBackend;
  readonly caps: Capabilities;
}

export type Case = readonly [name: string, run: (two: TwoProcesses) => Promise<void>];

export const isError = (error: unknown, type: new (...args: never[]) => LockError): void =>
  assert.ok(error instanceof type, `expected a ${type.name}, got ${String(error)}`);
