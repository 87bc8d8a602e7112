/** A promise that is settled from outside. It counts as handled: whoever awaits it is told all the same. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** For promises that nobody may look at. */
  quiet(): this {
    this.promise.catch(() => undefined);
    return this;
  }
}
