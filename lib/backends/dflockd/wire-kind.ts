import type { Kind } from '../../protocol/messages.js';
import type { LockKind } from '../backend.js';

/** The name of a kind on the wire. A kind that the protocol lacks is a type error here. */
export const wireKind = (kind: LockKind): Kind => kind;
