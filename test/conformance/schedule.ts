/** So much runs at a time; what is sensitive to time counts more. */
const CAPACITY = 16;

/** How many later jobs may be started while one is awaited. */
const AHEAD = 40;

interface Job {
  weight: number;
  run(): Promise<void>;
}

/**
 * Runs jobs that are awaited one after another, as the tests of a file are, side by side: to await one starts those
 * behind it as well.
 */
export class Schedule {
  private readonly results = new Map<number, Promise<void>>();
  private used = 0;
  private readonly queue: { weight: number; start: () => void }[] = [];

  constructor(private readonly jobs: readonly Job[]) {}

  async result(index: number): Promise<void> {
    for (let i = index; i <= Math.min(index + AHEAD, this.jobs.length - 1); i++) this.start(i);
    return this.results.get(index);
  }

  /** Resolves when everything that was started has ended. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.results.values());
  }

  private start(index: number): void {
    if (this.results.has(index)) return;
    const job = this.jobs[index]!;
    const result = this.admitted(job.weight, () => job.run());
    // It is looked at when its turn comes.
    result.catch(() => {});
    this.results.set(index, result);
  }

  private async admitted(weight: number, work: () => Promise<void>): Promise<void> {
    await new Promise<void>((start) => {
      this.queue.push({ weight, start });
      this.admit();
    });
    try {
      await work();
    } finally {
      this.used -= weight;
      this.admit();
    }
  }

  private admit(): void {
    while (this.queue.length > 0 && this.used + this.queue[0]!.weight <= CAPACITY) {
      const { weight, start } = this.queue.shift()!;
      this.used += weight;
      start();
    }
  }
}
