import { type Cures, refuseLive } from '../../locks/handle/refuse-live-result.js';
import { MESSAGES } from '../shared/dflockd.messages.js';

/**
 * What a locked method must not return, with advice; locks/handle/refuse-live-result.ts recognises it. Not listed, and
 * so not refused: Node's streams and files, whose lock `holdWhileRead` keeps until they end, and the iterators of GraphQL
 * subscriptions.
 */
const CURES: Cures = {
  observable: "add the option returns: 'observable'",
  asyncGenerator: 'make the method itself an async generator',
  generator: 'make the method an async generator',
  webStream: 'return Readable.fromWeb(stream), whose end can be seen',
};

/**
 * Refuses a result of a locked method that is still active after the lock is released.
 * @throws ConfigError
 */
export const refuseLiveResult = (method: string, result: unknown): void =>
  refuseLive(result, CURES, (kind, cure) => MESSAGES.liveResult(method, kind, cure));
