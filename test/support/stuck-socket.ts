import { Socket } from 'node:net';

type Done = (error?: Error | null) => void;

/** A TCP socket without a network: the peer's side is played by the test, which notes how the connection ends. */
export class StuckSocket extends Socket {
  /** What the kernel has taken. */
  taken = '';
  /** Whether the kernel takes nothing any more. */
  isStuck = false;
  resets = 0;
  private readonly untaken: Done[] = [];

  constructor() {
    super({ allowHalfOpen: true });
    this.on('error', () => undefined);
  }

  /** The peer sends bytes. */
  say(bytes: string): void {
    this.push(Buffer.from(bytes, 'latin1'));
  }

  /** The peer closes its side. */
  fin(): void {
    this.push(null);
  }

  override _read(): void {
    // The test says what comes.
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this._writev([{ chunk, encoding }], done);
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    if (this.isStuck) return void this.untaken.push(done);
    this.taken += chunks.map(({ chunk }) => chunk.toString('latin1')).join('');
    done();
  }

  override _final(done: Done): void {
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    done(error);
    process.nextTick(() => this.emit('close', error !== null));
  }

  override resetAndDestroy(): this {
    this.resets++;
    return this.destroy();
  }
}
