/** For those who wait for a backend on behalf of a lease: a backend may never answer, and a lease ends. */
export class WhileLive {
  private readonly ends = new Set<() => void>();

  /** As `work`, but resolves when the lease ends, if that is earlier. */
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
