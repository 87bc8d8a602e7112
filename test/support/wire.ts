import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { DuplexEnd } from './duplex-pair.js';

const LF = 0x0a;

/** Anything that serves a byte stream: a DflockdServer. */
export interface StreamServer {
  handle(stream: Duplex, peer: string): void;
}

/**
 * The raw client side of one connection: it writes bytes and notes what comes in, and when. Bytes are latin1 strings.
 */
export class Wire {
  /** All that has been received (since `forget`). */
  received = '';
  /** When the server closed: by FIN or reset, or when an error ended the connection. */
  closedAt: number | undefined;
  /** Where each line ends, and when its end came in. */
  private lines: { end: number; at: number }[] = [];
  private taken = 0;
  private linesTaken = 0;
  private paused = false;
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly stream: Duplex,
    private readonly cut: () => void,
  ) {
    stream.on('data', (chunk: Buffer) => {
      if (!this.paused) this.arrived(chunk);
    });
    const closed = (): void => {
      this.closedAt ??= performance.now();
      this.changed();
    };
    stream.on('end', closed);
    stream.on('close', closed);
    stream.on('error', closed);
  }

  /** A TCP connection without delay, whose sending side stays open when the server closes its own. */
  static async tcp(address: { host: string; port: number }): Promise<Wire> {
    const socket: Socket = connect({ ...address, noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    return new Wire(socket, () => socket.resetAndDestroy());
  }

  /** A connection in memory. */
  static pair(server: StreamServer, peer = '127.0.0.1'): Wire {
    const [near, far] = DuplexEnd.pair();
    server.handle(far, peer);
    return new Wire(near, () => near.reset());
  }

  /** What has been received and not been taken. */
  get unread(): string {
    return this.received.slice(this.taken);
  }

  get closed(): boolean {
    return this.closedAt !== undefined;
  }

  send(bytes: string): void {
    if (this.stream.writable) this.stream.write(bytes, 'latin1');
  }

  end(): void {
    this.stream.end();
  }

  destroy(): void {
    this.stream.destroy();
  }

  reset(): void {
    this.cut();
  }

  /** Stops reading for good. */
  pause(): void {
    this.paused = true;
    this.stream.pause();
  }

  /** Whether `count` whole lines have come that were not taken. */
  has(count: number): boolean {
    return this.lines.length - this.linesTaken >= count;
  }

  /** The next `count` lines and when the last of them came in; all unread bytes if there are fewer. */
  take(count: number): { bytes: string; at: number } {
    const last = this.lines[this.linesTaken + count - 1];
    const bytes = this.received.slice(this.taken, last?.end);
    this.taken += bytes.length;
    this.linesTaken = last ? this.linesTaken + count : this.lines.length;
    return { bytes, at: last?.at ?? NaN };
  }

  /** Drops what has been taken: for connections that live long. */
  forget(): void {
    this.received = Buffer.from(this.unread, 'latin1').toString('latin1');
    this.lines = this.lines.slice(this.linesTaken).map(({ end, at }) => ({ end: end - this.taken, at }));
    this.taken = 0;
    this.linesTaken = 0;
  }

  /** The next `count` lines. Fails when the server closes before, or after `withinMs`. */
  async read(count = 1, withinMs = 5000): Promise<string> {
    await this.wait(() => this.has(count) || this.closed, withinMs);
    if (this.has(count)) return this.take(count).bytes;
    const state = `${JSON.stringify(this.unread.slice(-500))}${this.closed ? ', closed' : ''}`;
    throw new Error(`wanted ${count} lines, got ${this.lines.length - this.linesTaken}: ${state}`);
  }

  /** Sends a request and gives the line of its reply, without LF. */
  async ask(request: string, withinMs = 5000): Promise<string> {
    this.send(request);
    return (await this.read(1, withinMs)).slice(0, -1);
  }

  /** When the server closed the connection. */
  async whenClosed(withinMs = 5000): Promise<number> {
    await this.wait(() => this.closed, withinMs);
    if (this.closedAt === undefined) throw new Error(`not closed within ${withinMs} ms`);
    return this.closedAt;
  }

  /** Resolves as soon as `condition` holds, or after `withinMs` all the same. */
  wait(condition: () => boolean, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (condition()) finish();
      };
      const timer = setTimeout(finish, withinMs);
      this.watchers.add(look);
      look();
    });
  }

  private arrived(chunk: Buffer): void {
    const at = performance.now();
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, lf + 1)) {
      this.lines.push({ end: this.received.length + lf + 1, at });
    }
    this.received += chunk.toString('latin1');
    this.changed();
  }

  private changed(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}
