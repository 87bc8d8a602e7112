import type { Writable } from 'node:stream';

/** Most bytes of log lines that may wait for a reader. */
const UNREAD_CAP = 1024 * 1024;

/**
 * Writes log lines to a stream that may fail: the disk is full, or the reader has exited or stopped reading. Lines that
 * cannot be written are dropped and counted; a line with their number follows the next one that can be written.
 */
export class LogSink {
  private dropped = 0;

  /** @param lost makes the line that reports how many lines were dropped */
  constructor(
    private readonly stream: Writable,
    private readonly lost: (count: number) => string,
  ) {
    // The callback of each failed write reports the error too.
    stream.on('error', () => {});
  }

  /** Never throws. */
  readonly write = (line: string): void => {
    if (this.stream.writableLength > UNREAD_CAP) this.dropped++;
    else this.put(line, 1);
  };

  /** @param lines how many lines are lost if the text cannot be written */
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
