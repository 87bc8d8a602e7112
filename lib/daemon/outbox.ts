import type { Duplex } from 'node:stream';
import type { Clock, Ms } from '../common/system.js';
import { SIGNAL_BUFFER_FRAMES, SIGNAL_LINE_CAP } from '../protocol/limits.js';
import type { SignalMemory } from './signal-memory.js';
import type { SharedText } from './stats-pieces.js';

/** Bytes that may wait for a peer before nothing more is executed for it. */
const FULL = 256 * 1024;
/** The reader of a long text may keep it waiting for so many write timeouts in all. */
const PATIENCE = 4;
/** In place of a write timeout, where there is none: long texts are not kept for ever. */
const USUAL_TIMEOUT_MS: Ms = 5_000;

/** What became of a long text: all is written, the peer must read first, or there is more to write at once. */
export type Poured = 'done' | 'waits' | 'more';

/** What is to be said to one peer: collected while requests run, written at once, and watched until the peer took it. */
export class Outbox {
  private text = '';
  /** Pushed frames in `text`, and those handed to the stream which it has not passed on, with their bytes. */
  private fresh = 0;
  private waiting = 0;
  private waitingBytes = 0;
  /** Bytes handed to the stream so far; and of those, how many must be gone by `due`. */
  private handed = 0;
  private mark = 0;
  /** When the write timeout of the oldest waiting bytes ends; Infinity when nothing waits (spec 1.5). */
  due: Ms = Infinity;
  /** A text that is written piece by piece, and the index of the next piece; everything else is written after it. */
  private long: SharedText | undefined = undefined;
  private next = 0;
  /** How much longer its reader may keep it waiting, and since when it has done so. */
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
   * A pushed line, unless so many are waiting already (spec 6.4). Those of the turn that is under way do not count, unless a long
   * text stands before them: a peer cannot have read them.
   */
  addFrame(line: string): boolean {
    const waiting = this.long ? this.waiting + this.fresh : this.waiting;
    if (waiting >= SIGNAL_BUFFER_FRAMES || this.backlog >= SIGNAL_BUFFER_FRAMES * SIGNAL_LINE_CAP) return false;
    if (waiting > 0 && !this.memory.allows(this.waitingBytes)) return false;
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

  /** Whether a long text is under way. */
  get isPouring(): boolean {
    return this.long !== undefined;
  }

  /** A long text is next; `pour` writes it. */
  begin(text: SharedText): void {
    text.open();
    this.long = text;
    this.next = 0;
    this.patienceMs = PATIENCE * (this.timeoutMs || USUAL_TIMEOUT_MS);
    this.waitsSince = Infinity;
  }

  /** Writes as much of the long text as the peer takes, until `end` at most. */
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

  /** At `due`: whether what waited then has been taken. If so, what waits now gets its own time. */
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
    // Nothing, if it has been given up meanwhile.
    const freed = Math.min(length, this.waitingBytes);
    this.waitingBytes -= freed;
    this.memory.free(freed);
  }
}
