import { isObservable } from 'rxjs';
import { ConfigError } from '../common/errors.js';
import { MESSAGES } from './dflockd.messages.js';

/** What goes on after a method has returned it, by its tag; not Node's streams: those tell when they end. */
const LIVE: Readonly<Record<string, readonly [kind: string, cure: string]>> = {
  '[object AsyncGenerator]': ['an async generator', 'make the method itself an async generator'],
  '[object Generator]': ['a generator', 'make the method an async generator'],
  '[object ReadableStream]': ['a web stream', 'return Readable.fromWeb(stream), which tells when it ends'],
};

/**
 * Refuses a result that goes on after the method has returned, and with it after the lock is released: to hand it out
 * would be work without a lock that looks as if it had one.
 * @throws ConfigError
 */
export function refuseLiveResult(method: string, result: unknown): void {
  if (typeof result !== 'object' || result === null) return;
  if (isObservable(result)) {
    throw new ConfigError(MESSAGES.liveResult(method, 'an Observable', "add the option returns: 'observable'"));
  }
  const live = LIVE[Object.prototype.toString.call(result)];
  // Nobody will read it now; what it has open must not stay open.
  if (result instanceof ReadableStream) result.cancel().catch(() => undefined);
  if (live) throw new ConfigError(MESSAGES.liveResult(method, ...live));
}
