/** `nestjs-dflockd/testing`: locks for the tests of an application, without sockets. */
export type { LossReason } from '../common/errors.js';
export { attachLocks } from '../testing/attach-locks.js';
export { type HeldLockInfo, TestLocks, type TestLocksOptions } from '../testing/test-locks.js';
