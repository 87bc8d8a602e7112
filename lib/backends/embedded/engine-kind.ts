import type { Kind } from '../../protocol/messages.js';
import type { LockKind } from '../backend.js';

/** The engine's name for a kind. A kind that the engine does not know is a type error here. */
export const engineKind = (kind: LockKind): Kind => kind;
