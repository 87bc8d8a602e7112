import type { Readable } from 'node:stream';
import { isObservable } from 'rxjs';
import { ConfigError } from '../../common/errors.js';
import { shown } from '../../common/shown.js';

/** Kinds of results that are still active after the function that returned them has settled. */
const KINDS = {
  observable: 'an Observable',
  asyncGenerator: 'an async generator',
  generator: 'a generator',
  asyncIterator: 'an async iterator',
  webStream: 'a web stream',
  stream: 'a stream',
  file: 'a StreamableFile',
} as const;

type Kind = keyof typeof KINDS;

/** The advice for each kind that is refused. */
export type Cures = Readonly<Partial<Record<Kind, string>>>;

const TAGS: Readonly<Record<string, Kind>> = {
  '[object AsyncGenerator]': 'asyncGenerator',
  '[object Generator]': 'generator',
  '[object Iterator Helper]': 'generator',
  '[object ReadableStream]': 'webStream',
  '[object TransformStream]': 'webStream',
};

/** For functions passed to `withLock`: the lock does not outlast them. */
const CURES: Cures = {
  observable: 'subscribe to it in the function, as with await lastValueFrom(observable)',
  asyncGenerator: 'iterate over it in the function',
  generator: 'iterate over it in the function',
  asyncIterator: 'iterate over it in the function',
  webStream: 'read it in the function',
  stream: 'read it in the function, as with await pipeline(stream, …)',
  file: 'return it from a method with @WithLock, which holds the lock until it has been sent',
};

/**
 * Refuses a result that is still active after its function has settled, and so after the lock is released: its work
 * would look locked but run without the lock. Closes what the result has open.
 * @throws ConfigError
 */
export function refuseLive(
  result: unknown,
  cures: Cures,
  message: (kind: string, cure: string) => string,
  key?: string,
): void {
  if (typeof result !== 'object' || result === null) return;
  const kind = kindOf(result);
  const cure = kind && cures[kind];
  if (!cure) return;
  discard(result);
  throw new ConfigError(message(KINDS[kind], cure), key === undefined ? undefined : { key });
}

/** refuseLive() for the result of a function passed to `withLock`, or of a part of a scope. @throws ConfigError */
export function refuseLiveBody(result: unknown, key: string, where = 'withLock'): void {
  if (typeof result !== 'object' || result === null) return;
  const message = (kind: string, cure: string) =>
    `${where}("${shown(key)}"): the function returned ${kind}, which would go on after the lock is released; ${cure}`;
  refuseLive(result, CURES, message, key);
}

/** The methods that a stream, an iterator or an object containing one may have. */
interface Live {
  [Symbol.asyncIterator]?: unknown;
  next?: unknown;
  return?: (value: unknown) => unknown;
  pipe?: unknown;
  read?: unknown;
  on?: (event: string, listener: () => void) => unknown;
  destroyed?: boolean;
  readableEnded?: boolean;
  destroy?: () => unknown;
  cancel?: () => unknown;
  readable?: unknown;
  getStream?: () => unknown;
  getHeaders?: unknown;
}

function kindOf(result: object): Kind | undefined {
  if (isObservable(result)) return 'observable';
  const tag = TAGS[Object.prototype.toString.call(result)];
  if (tag) return tag;
  const live: Live = result;
  if (isReadable(live)) return live.destroyed || live.readableEnded ? undefined : 'stream';
  if (isFile(live)) return 'file';
  return isFunction(live.next) && isFunction(live[Symbol.asyncIterator]) ? 'asyncIterator' : undefined;
}

const isFunction = (value: unknown): boolean => typeof value === 'function';

/** A stream that is only writable does not count: it may be the response that the function has sent. */
export const isReadable = (value: object): value is Readable =>
  isFunction((value as Live).pipe) && isFunction((value as Live).read) && isFunction((value as Live).on);

/** Recognises a StreamableFile by its members, since a library may bring another copy of Nest. */
export const isFile = (value: object): value is { getStream(): Readable } =>
  isFunction((value as Live).getStream) && isFunction((value as Live).getHeaders);

/** Destroys a stream that will not be read, so that its resources are released. */
export function discardStream(stream: Readable): void {
  stream.on('error', () => undefined);
  stream.destroy?.();
}

/** Closes what the result has open, ignoring its errors. */
function discard(result: object): void {
  const live: Live = isFile(result) ? result.getStream() : result;
  if (isReadable(live)) return discardStream(live);
  const web = isFunction(live.cancel) ? live : (live.readable as Live | undefined);
  try {
    const closed = isFunction(web?.cancel)
      ? web!.cancel!()
      : isFunction(live.return)
        ? live.return!(undefined)
        : undefined;
    Promise.resolve(closed).catch(() => undefined);
  } catch {
    // A generator may throw when it is closed.
  }
}
