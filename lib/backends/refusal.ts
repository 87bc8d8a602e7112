import { type LockError, type LockErrorDetails, NotLeaderError, ProtocolError } from '../common/errors.js';
import type { Answer } from '../core/types.js';
import { errorOfStatus } from '../protocol/status.js';

/** The error that stands for an answer which is not what was asked for. */
export function refusal(answer: Answer, operation: string, details: LockErrorDetails): LockError {
  switch (answer.s) {
    case 'not_leader':
      return new NotLeaderError(answer.leader || undefined, details);
    case 'granted':
    case 'acquired':
    case 'renewed':
    case 'delivered':
    case 'stats':
    case 'cancelled':
      return new ProtocolError(`${operation}: the answer "${answer.s}" makes no sense`, details);
    default:
      return errorOfStatus(answer.s, operation, details);
  }
}
