import { Duplex } from 'node:stream';

const lost = (code: string): NodeJS.ErrnoException => Object.assign(new Error(`peer is gone: ${code}`), { code });

/**
 * One end of a connection in memory. As with a socket, bytes arrive in a later turn of the event loop, a reader that
 * stops holds the writer up, `end` closes one direction, `destroy` both, and writing to a peer that is gone fails.
 */
export class DuplexEnd extends Duplex {
  private other!: DuplexEnd;
  private finSent = false;
  /** Told when the reader at this end can take more. */
  private writerWaits: (() => void) | undefined;

  static pair(): [DuplexEnd, DuplexEnd] {
    const [a, b] = [new DuplexEnd({ allowHalfOpen: true }), new DuplexEnd({ allowHalfOpen: true })];
    a.other = b;
    b.other = a;
    return [a, b];
  }

  /** Cuts the connection: the peer sees an error, bytes on their way are lost. */
  reset(): void {
    this.finSent = true;
    setImmediate(() => this.other.destroy(lost('ECONNRESET')));
    this.destroy();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    setImmediate(() => {
      if (this.other.destroyed) done(lost('EPIPE'));
      else if (this.other.push(chunk)) done();
      else this.other.writerWaits = done;
    });
  }

  override _read(): void {
    const waiting = this.writerWaits;
    this.writerWaits = undefined;
    waiting?.();
  }

  override _final(done: () => void): void {
    this.sendFin();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.sendFin();
    this.writerWaits?.();
    done(error);
  }

  private sendFin(): void {
    if (this.finSent) return;
    this.finSent = true;
    setImmediate(() => this.other.destroyed || this.other.push(null));
  }
}
