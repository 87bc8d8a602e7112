/** Who is to be told of a signal's abort. */
interface Listening {
  readonly callbacks: Set<() => void>;
  readonly tell: () => void;
}

/**
 * One listener for each signal, however many wait under it: Node warns of a leak from the eleventh on, and looks through all
 * of them whenever one comes or goes.
 */
const listening = new WeakMap<AbortSignal, Listening>();

/** Calls back once when the signal aborts; one that has aborted already never does. Returns how to stop that. */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks } = listening.get(signal) ?? listen(signal);
  // Of its own: the same function may be given twice.
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

/** A signal that aborts with the first of two, until it is forgotten. */
export function eitherSignal(a: AbortSignal, b: AbortSignal): { readonly signal: AbortSignal; forget(): void } {
  const controller = new AbortController();
  const ends = [a, b].map((one) => whenAborted(one, () => controller.abort(one.reason)));
  const aborted = [a, b].find((one) => one.aborted);
  if (aborted) controller.abort(aborted.reason);
  return { signal: controller.signal, forget: () => ends.forEach((end) => end()) };
}
