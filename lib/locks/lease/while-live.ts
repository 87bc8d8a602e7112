/** Waits for a backend on behalf of a lease. A backend may never reply, but a lease ends. */
export class WhileLive {
  private readonly ends = new Set<() => void>();

  /** Resolves like `work`, or when the lease ends, whichever is earlier. */
  wait(work: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.ends.add(resolve);
      const over = (settle: () => void): void => {
        this.ends.delete(resolve);
        settle();
      };
      work.then(
        () => over(resolve),
        (error: Error) => over(() => reject(error)),
      );
    });
  }

  /** The lease has ended. */
  end(): void {
    for (const end of this.ends) end();
    this.ends.clear();
  }
}
