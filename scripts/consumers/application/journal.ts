import { EventEmitter } from 'node:events';

/** What both instances have done. */
export class Journal extends EventEmitter {
  charges = 0;
  mostAtOnce = 0;
  readonly ticks: number[] = [];
  private running = 0;

  async charge(work: () => Promise<void>): Promise<void> {
    this.running++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    await work();
    this.running--;
    this.charges++;
  }

  tick(at: number): void {
    this.ticks.push(at);
    this.emit('tick');
  }
}
