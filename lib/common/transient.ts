import { LockError } from './errors.js';

/**
 * Whether another attempt may succeed without any change: LockError.isTransient decides, in each class of errors.ts.
 * Anything but a LockError is a bug, and stays one.
 */
export const isTransient = (error: unknown): boolean => error instanceof LockError && error.isTransient;
