import { finished, type Readable } from 'node:stream';
import { discardStream, isFile, isReadable } from '../../locks/handle/refuse-live-result.js';
import type { LockPlan } from './lock-plan.js';
import type { CallScope } from './service-ref.js';

/** Releases the lock of a stream that is garbage-collected without having been read. */
const forgotten = new FinalizationRegistry<CallScope>((scope) => void scope.leave());

/** The Node stream in a result: the result itself, or the one that a StreamableFile sends. */
export function streamIn(result: unknown): Readable | undefined {
  if (typeof result !== 'object' || result === null) return undefined;
  const stream: object = isFile(result) ? result.getStream() : result;
  return isReadable(stream) ? stream : undefined;
}

/**
 * Keeps the lock of a method that returned a stream or a StreamableFile until the stream has ended, failed or been closed. If the lock is lost before that, the stream fails.
 * @throws LockLostError if the lock was lost before there was a stream to fail
 */
export function holdWhileRead(plan: LockPlan, scope: CallScope, stream: Readable, result: unknown): unknown {
  const fails = plan.onLost === 'throw';
  const { loss } = scope;
  if (loss && fails) {
    discardStream(stream);
    void scope.leave();
    throw loss;
  }
  const leave = (): void => void scope.leave();
  // Not on `close`, which comes later: the response may be complete by then, and the next request may want the lock.
  stream.once('end', leave);
  finished(stream, leave);
  // A weak reference: the scope lives as long as the lock, which must end with the stream.
  const weak = new WeakRef(stream);
  forgotten.register(stream, scope);
  if (fails) scope.onLoss((error) => weak.deref()?.destroy(error));
  if (isFile(result as object)) endWithDestination(stream);
  return result;
}

/** When a client disconnects in the middle of a file, older versions of Nest leave the file open, and the lock held. */
function endWithDestination(stream: Readable): void {
  const pipe: Readable['pipe'] = stream.pipe.bind(stream);
  const piped: Readable['pipe'] = (destination, options) => {
    (destination as unknown as NodeJS.EventEmitter).once('close', () => {
      if (!stream.readableEnded) stream.destroy();
    });
    return pipe(destination, options);
  };
  Object.defineProperty(stream, 'pipe', { value: piped, configurable: true, writable: true });
}
