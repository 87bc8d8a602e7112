import type { Signal } from '../../locks/signals/signals.js';

/** The signals from its creation until the connection closes. Signals that have not been read yet are kept. */
export class SignalStream implements AsyncIterableIterator<Signal> {
  private readonly kept: Signal[] = [];
  private readonly waiting: ((result: IteratorResult<Signal, undefined>) => void)[] = [];
  private ended = false;

  /** @param left called when the reader has stopped */
  constructor(private readonly left: (stream: SignalStream) => void) {}

  push(signal: Signal): void {
    const next = this.waiting.shift();
    if (next) next({ value: signal, done: false });
    else this.kept.push(signal);
  }

  /** No more signals will come; those kept can still be read. */
  end(): void {
    this.ended = true;
    for (const next of this.waiting.splice(0)) next({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<Signal, undefined>> {
    const value = this.kept.shift();
    if (value) return Promise.resolve({ value, done: false });
    if (this.ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  return(): Promise<IteratorResult<Signal, undefined>> {
    this.kept.length = 0;
    this.end();
    this.left(this);
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
