/** The callbacks that run when a signal aborts, and the listener that runs them. */
interface Listening {
  readonly callbacks: Set<() => void>;
  readonly tell: () => void;
}

/**
 * One listener per signal, however many callers wait on it. Node warns of a leak from the eleventh listener on, and
 * walks the whole list whenever one is added or removed.
 */
const listening = new WeakMap<AbortSignal, Listening>();

/** Calls back once when the signal aborts; never if it has aborted already. Returns a function that unsubscribes. */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks } = listening.get(signal) ?? listen(signal);
  // Wrapped, because the same function may be registered twice.
  const own = (): void => callback();
  callbacks.add(own);
  return () => {
    if (callbacks.delete(own) && callbacks.size === 0) forget(signal);
  };
}

function listen(signal: AbortSignal): Listening {
  const callbacks = new Set<() => void>();
  const tell = (): void => {
    forget(signal);
    for (const callback of callbacks) callback();
  };
  const all: Listening = { callbacks, tell };
  listening.set(signal, all);
  signal.addEventListener('abort', tell);
  return all;
}

function forget(signal: AbortSignal): void {
  const all = listening.get(signal);
  if (!all) return;
  listening.delete(signal);
  signal.removeEventListener('abort', all.tell);
}

/** A signal that aborts as soon as either of two does. `forget` detaches it from both. */
export function eitherSignal(a: AbortSignal, b: AbortSignal): { readonly signal: AbortSignal; forget(): void } {
  const controller = new AbortController();
  const ends = [a, b].map((one) => whenAborted(one, () => controller.abort(one.reason)));
  const aborted = [a, b].find((one) => one.aborted);
  if (aborted) controller.abort(aborted.reason);
  return { signal: controller.signal, forget: () => ends.forEach((end) => end()) };
}
