import type { Kind } from '../../protocol/messages.js';
import type { LockKind } from '../backend.js';

/** What dflockd calls it. A kind that the wire does not know is a type error here. */
export const wireKind = (kind: LockKind): Kind => kind;
