import type { Duplex } from 'node:stream';
import { outermost, reset } from './reset.js';

/** The open connections of a listener: each is a member until its stream has closed. */
export class Connections<Stream extends Duplex = Duplex> {
  private readonly open = new Set<Stream>();
  private readonly waiting: (() => void)[] = [];

  get size(): number {
    return this.open.size;
  }

  /** @param closed called when the stream has closed, before `whenEmpty` resolves */
  add(stream: Stream, closed: () => void): void {
    this.open.add(stream);
    stream.once('close', () => {
      this.open.delete(stream);
      closed();
      if (this.open.size === 0) for (const resolve of this.waiting.splice(0)) resolve();
    });
  }

  /** Resolves when no connection is open. */
  whenEmpty(): Promise<void> {
    if (this.open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  destroyAll(): void {
    for (const stream of this.open) outermost(stream).destroy();
  }

  /** Closes all after a time in which they could have ended: those whose peers do not read are reset. */
  cutOff(): void {
    for (const stream of this.open) reset(stream);
  }
}
