import type { Writable } from 'node:stream';

/** Bytes of lines that the reader of a log has not taken yet. */
const UNREAD_CAP = 1024 * 1024;

/**
 * Writes the lines of a log to a stream that may fail: the disk is full, or whoever read it has gone or stands still. Lines
 * that cannot be written are dropped and counted; the next one that can be is followed by their number.
 */
export class LogSink {
  private dropped = 0;

  /** @param lost a line that tells how many have been dropped */
  constructor(
    private readonly stream: Writable,
    private readonly lost: (count: number) => string,
  ) {
    // Each failed write is told by its callback as well.
    stream.on('error', () => {});
  }

  /** Never throws. */
  readonly write = (line: string): void => {
    if (this.stream.writableLength > UNREAD_CAP) this.dropped++;
    else this.put(line, 1);
  };

  /** @param lines how many are lost if it cannot be written */
  private put(text: string, lines: number): void {
    try {
      this.stream.write(text, (error) => (error ? (this.dropped += lines) : this.written()));
    } catch {
      this.dropped += lines;
    }
  }

  private written(): void {
    const { dropped } = this;
    if (dropped === 0 || this.stream.writableLength > UNREAD_CAP / 2) return;
    this.dropped = 0;
    this.put(this.lost(dropped), dropped);
  }
}
