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

  /** For promises that nobody may look at: a rejection counts as handled. Whoever awaits it is told all the same. */
  quiet(): this {
    this.promise.catch(() => undefined);
    return this;
  }
}
