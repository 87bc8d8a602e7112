import { METHODS } from 'node:http';

const LF = 0x0a;
const NOTHING = Buffer.alloc(0);
/** Longer than any target that has a route. */
const LINE_CAP = 2048;

/** What the parser has taken of a request when it refuses a byte of its method, or of its target. A body may precede. */
export const IN_METHOD = /[A-Z-]*$/;
/** The parser knows the method. A body may end with capital letters, which are not part of it. */
export const IN_TARGET = new RegExp(`(?:(?:${METHODS.join('|')}) [^ ]*)?$`);

/** What a client has sent since the last end of a line: a request may have begun in it that the parser will refuse. */
export class UnfinishedLine {
  private line: Buffer = NOTHING;

  /** @param chunk what the parser got */
  add(chunk: Buffer): void {
    if (chunk[chunk.length - 1] === LF) {
      this.line = NOTHING;
      return;
    }
    const end = chunk.lastIndexOf(LF);
    const rest = end < 0 ? chunk : chunk.subarray(end + 1);
    const line = end < 0 && this.line.length > 0 ? Buffer.concat([this.line, rest]) : rest;
    this.line = line.length <= LINE_CAP ? line : Buffer.from(line.subarray(-LINE_CAP));
  }

  /**
   * What was sent from the beginning of the request on that the parser has refused.
   * @param chunk what the parser got, of which it has taken `parsed` bytes
   * @param part what has been parsed of the request before the byte that was refused
   */
  startOf(chunk: Buffer, parsed: number, part: RegExp): Buffer {
    const all = Buffer.concat([this.line, chunk]);
    const before = all.toString('latin1', 0, this.line.length + parsed);
    const line = before.slice(before.lastIndexOf('\n') + 1);
    return all.subarray(before.length - part.exec(line)![0].length);
  }
}
