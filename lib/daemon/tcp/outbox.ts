import type { Duplex } from 'node:stream';
import type { Clock, Ms } from '../../common/system.js';
import { SIGNAL_BUFFER_FRAMES, SIGNAL_LINE_CAP } from '../../protocol/limits.js';
import type { SignalMemory } from '../fairness/signal-memory.js';
import type { SharedText } from '../fairness/stats-pieces.js';

/** While this many bytes wait for a peer, no more of its requests are executed. */
const FULL = 256 * 1024;
/** How many write timeouts in total the reader of a long text may keep it waiting. */
const PATIENCE = 4;
/** Used for long texts if there is no write timeout: they are not kept for ever. */
const USUAL_TIMEOUT_MS: Ms = 5_000;

/** The progress of a long text: all is written, the peer must read first, or more can be written at once. */
export type Poured = 'done' | 'waits' | 'more';

/** The output for one peer: collected while requests run, written at once, and watched until the peer has read it. */
export class Outbox {
  private text = '';
  /** The number of pushed frames in `text`, and of those still in the stream, with their bytes. */
  private fresh = 0;
  private waiting = 0;
  private waitingBytes = 0;
  /** Bytes handed to the stream so far, and how many of them must be gone by `due`. */
  private handed = 0;
  private mark = 0;
  /** When the write timeout of the oldest waiting bytes ends; Infinity when nothing waits (spec 1.5). */
  due: Ms = Infinity;
  /** A text being written piece by piece, and the index of the next piece; everything else is written after it. */
  private long: SharedText | undefined = undefined;
  private next = 0;
  /** How much longer the peer may keep the long text waiting, and since when it does. */
  private patienceMs: Ms = 0;
  private waitsSince: Ms = Infinity;

  /** @param timeoutMs 0 = none */
  constructor(
    private readonly stream: Duplex,
    private readonly timeoutMs: Ms,
    private readonly memory: SignalMemory,
  ) {}

  add(line: string): void {
    this.text += line;
  }

  /**
   * Adds a pushed line, unless too many are already waiting (spec 6.4). Lines of the current turn do not count, because
   * the peer cannot have read them yet, unless a long text precedes them.
   */
  addFrame(line: string): boolean {
    const waiting = this.long ? this.waiting + this.fresh : this.waiting;
    if (waiting >= SIGNAL_BUFFER_FRAMES || this.backlog >= SIGNAL_BUFFER_FRAMES * SIGNAL_LINE_CAP) return false;
    if (waiting > 0 && !this.memory.allows(this.waitingBytes)) return false;
    this.fresh++;
    this.text += line;
    return true;
  }

  /** Whether so much waits, here or in the stream, that the peer must read first. */
  get isFull(): boolean {
    return this.backlog >= FULL;
  }

  private get backlog(): number {
    return this.text.length + this.stream.writableLength;
  }

  /** Whether a long text is being written. */
  get isPouring(): boolean {
    return this.long !== undefined;
  }

  /** Starts a long text, which `pour` writes. */
  begin(text: SharedText): void {
    text.open();
    this.long = text;
    this.next = 0;
    this.patienceMs = PATIENCE * (this.timeoutMs || USUAL_TIMEOUT_MS);
    this.waitsSince = Infinity;
  }

  /** Writes as much of the long text as the peer reads, until `end` at most. */
  pour(clock: Clock, end: Ms): Poured {
    const { stream, long } = this;
    let now = clock.now();
    if (this.waitsSince < now) this.patienceMs -= now - this.waitsSince;
    this.waitsSince = Infinity;
    for (;;) {
      if (this.next === long!.pieces.length) {
        this.closeText();
        this.flush(now);
        return 'done';
      }
      if (stream.writableNeedDrain || !stream.writable) {
        this.waitsSince = now;
        this.watch(now);
        return 'waits';
      }
      const piece = long!.pieces[this.next++]!;
      this.handed += piece.length;
      stream.write(piece);
      now = clock.now();
      if (now >= end) return 'more';
    }
  }

  /** Hands everything to the stream in one write. */
  flush(now: Ms): void {
    if (this.text !== '' && this.long === undefined) this.hand();
    this.watch(now);
  }

  /** Called at `due`: whether the peer has read what it had to. If so, what waits now gets a deadline of its own. */
  progress(now: Ms): boolean {
    if (now - this.waitsSince >= this.patienceMs) return false;
    if (this.handed - this.stream.writableLength < this.mark) return false;
    this.due = Infinity;
    this.flush(now);
    return true;
  }

  /** Nothing more will be written. */
  abandon(): void {
    if (this.long) this.closeText();
    this.memory.free(this.waitingBytes);
    this.waitingBytes = 0;
  }

  private watch(now: Ms): void {
    if (this.stream.writableLength === 0) {
      this.due = Infinity;
    } else if (this.due === Infinity && (this.timeoutMs > 0 || this.long)) {
      this.mark = this.handed;
      this.due = now + (this.timeoutMs || Infinity);
    }
    if (this.long && this.waitsSince < Infinity) this.due = Math.min(this.due, this.waitsSince + this.patienceMs);
  }

  private closeText(): void {
    this.long!.close();
    this.long = undefined;
    this.waitsSince = Infinity;
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
    const { length } = text;
    this.waiting += fresh;
    this.waitingBytes += length;
    this.memory.take(length);
    this.stream.write(text, 'latin1', () => this.passedOn(fresh, length));
  }

  private passedOn(frames: number, length: number): void {
    this.waiting -= frames;
    // Zero if the outbox has been abandoned meanwhile.
    const freed = Math.min(length, this.waitingBytes);
    this.waitingBytes -= freed;
    this.memory.free(freed);
  }
}
