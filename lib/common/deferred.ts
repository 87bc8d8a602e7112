/** A promise that is settled from outside. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (reason: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** Marks a rejection as handled, for a promise that may never be awaited. Awaiting it still throws the error. */
  quiet(): this {
    this.promise.catch(() => undefined);
    return this;
  }
}
