import { LockError } from './errors.js';

/** Whether another attempt may succeed although nobody changes anything. What is no LockError is a mistake, and stays one. */
export const isTransient = (error: unknown): boolean => error instanceof LockError && error.isTransient;
