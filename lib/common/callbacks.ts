/** The callbacks of one kind of event. */
export class Callbacks<A extends readonly unknown[]> {
  private readonly all = new Set<(...args: A) => void>();

  /** Returns a function that removes it. */
  add(callback: (...args: A) => void): () => void {
    this.all.add(callback);
    return () => void this.all.delete(callback);
  }

  /** Calls those that are there now; they may add and remove callbacks. */
  tell(...args: A): void {
    for (const callback of [...this.all]) callback(...args);
  }

  clear(): void {
    this.all.clear();
  }
}
