import { StreamableFile } from '@nestjs/common';
import { isObservable } from 'rxjs';
import { ConfigError } from '../common/errors.js';
import { MESSAGES } from './dflockd.messages.js';

interface ReadableStream {
  pipe(target: unknown): unknown;
  read(): unknown;
  on(event: string, listener: () => void): unknown;
  destroy?(): unknown;
}

/**
 * Refuses a result that goes on after the method has returned, and with it after the lock is released: to hand it out
 * would be work without a lock that looks as if it had one.
 * @throws ConfigError
 */
export function refuseLiveResult(method: string, result: unknown): void {
  if (typeof result !== 'object' || result === null) return;
  const inside = 'do the work inside the method, or lock inside with DflockdService.withLock';
  if (isObservable(result)) {
    throw new ConfigError(MESSAGES.liveResult(method, 'an Observable', `${inside}; Observables are not supported yet`));
  }
  if (Object.prototype.toString.call(result) === '[object AsyncGenerator]') {
    throw new ConfigError(
      MESSAGES.liveResult(method, 'an async generator', `${inside}; generators are not supported yet`),
    );
  }
  const stream = result instanceof StreamableFile ? result.getStream() : result;
  if (!isReadable(stream)) return;
  // Nobody will read it now; what it has open must not stay open.
  stream.on('error', () => undefined);
  stream.destroy?.();
  throw new ConfigError(MESSAGES.liveResult(method, 'a stream', `${inside}; streams are not supported yet`));
}

/** What can be read. A response, which some handlers return, can only be written. */
function isReadable(value: object): value is ReadableStream {
  const { pipe, read } = value as Partial<ReadableStream>;
  return typeof pipe === 'function' && typeof read === 'function';
}
