import { type LockError, NotLeaderError, ProtocolError } from '../common/errors.js';
import { fromBytes } from './bytes.js';
import type { Reply } from './messages.js';
import { errorOfStatus } from './status.js';

/** The error for a reply other than the expected one. @param key as bytes */
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
      return new ProtocolError(`${operation}: unexpected reply "${reply.s}"`, details);
    default:
      return errorOfStatus(reply.s, operation, details);
  }
}
