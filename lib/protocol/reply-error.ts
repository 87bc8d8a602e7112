import { type LockError, NotLeaderError, ProtocolError } from '../common/errors.js';
import { fromBytes } from './bytes.js';
import type { Reply } from './messages.js';
import { errorOfStatus } from './status.js';

/** The error that stands for a reply which is not what was asked for. `key`: as bytes. */
export function replyError(reply: Reply, operation: string, key: string | undefined, server: string): LockError {
  const details = { server, ...(key === undefined ? undefined : { key: fromBytes(key) }) };
  switch (reply.s) {
    case 'not_leader':
      return new NotLeaderError(reply.leader || undefined, details);
    case 'granted':
    case 'acquired':
    case 'renewed':
    case 'delivered':
    case 'stats':
      return new ProtocolError(`${operation}: the answer "${reply.s}" makes no sense`, details);
    default:
      return errorOfStatus(reply.s, operation, details);
  }
}
