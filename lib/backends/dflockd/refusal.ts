import { refused } from './lanes/refused.js';
import { type LockError, ProtocolError } from '../../common/errors.js';
import type { Answer } from '../../core/types.js';

/** The error that stands for an answer which is not what was asked for. `key`: as bytes. */
export function refusal(answer: Answer, operation: string, key: string | undefined, server: string): LockError {
  if (answer.s !== 'cancelled') return refused(answer, operation, key, server);
  return new ProtocolError(`${operation}: the answer "cancelled" makes no sense`, { server });
}
