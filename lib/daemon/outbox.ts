import type { Duplex } from 'node:stream';
import type { Ms } from '../common/system.js';
import { SIGNAL_BUFFER_FRAMES, SIGNAL_LINE_CAP } from '../protocol/limits.js';

/** Bytes that may wait for a peer before nothing more is executed for it. */
const FULL = 256 * 1024;

/** What is to be said to one peer: collected while requests run, written at once, and watched until the peer took it. */
export class Outbox {
  private text = '';
  /** Pushed frames in `text`, and those handed to the stream which it has not passed on. */
  private fresh = 0;
  private waiting = 0;
  /** Bytes handed to the stream so far; and of those, how many must be gone by `due`. */
  private handed = 0;
  private mark = 0;
  /** When the write timeout of the oldest waiting bytes ends; Infinity when nothing waits (spec 1.5). */
  due: Ms = Infinity;

  /** @param timeoutMs 0 = none */
  constructor(
    private readonly stream: Duplex,
    private readonly timeoutMs: Ms,
  ) {}

  add(line: string): void {
    this.text += line;
  }

  /**
   * A pushed line, unless so many are waiting already (spec 6.4). Those of the turn that is under way do not count: a peer
   * cannot have read them.
   */
  addFrame(line: string): boolean {
    if (this.waiting >= SIGNAL_BUFFER_FRAMES || this.backlog >= SIGNAL_BUFFER_FRAMES * SIGNAL_LINE_CAP) return false;
    this.fresh++;
    this.text += line;
    return true;
  }

  /** So much waits, here or in the stream, that the peer must read first. */
  get isFull(): boolean {
    return this.backlog >= FULL;
  }

  private get backlog(): number {
    return this.text.length + this.stream.writableLength;
  }

  /** Hands everything to the stream in one write. */
  flush(now: Ms): void {
    if (this.text !== '') this.hand();
    if (this.stream.writableLength === 0) {
      this.due = Infinity;
    } else if (this.due === Infinity && this.timeoutMs > 0) {
      this.mark = this.handed;
      this.due = now + this.timeoutMs;
    }
  }

  /** At `due`: whether what waited then has been taken. If so, what waits now gets its own time. */
  progress(now: Ms): boolean {
    if (this.handed - this.stream.writableLength < this.mark) return false;
    this.due = Infinity;
    this.flush(now);
    return true;
  }

  private hand(): void {
    const { text, fresh } = this;
    this.text = '';
    this.fresh = 0;
    this.handed += text.length;
    if (!this.stream.writable) return;
    if (fresh === 0) {
      this.stream.write(text, 'latin1');
      return;
    }
    this.waiting += fresh;
    this.stream.write(text, 'latin1', () => (this.waiting -= fresh));
  }
}
