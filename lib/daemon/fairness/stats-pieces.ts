import { STATS_LISTS, type StatsList, type StatsTaker } from '../../core/stats-json.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Collects what a walk hands on, and builds the reply in pieces: the whole is never needed at once. */
export class StatsPieces {
  private readonly pieces = new Map<StatsList, Buffer[]>();
  /** Bytes of all entries so far, commas included. */
  size = 0;

  readonly take: StatsTaker = (list, entries) => {
    const known = this.pieces.get(list);
    if (!known) this.pieces.set(list, [bytes(entries)]);
    else known.push(bytes(`,${entries}`));
    this.size += entries.length + 1;
  };

  /** The line of the reply, LF included. @param connections as the host counts them */
  line(connections: number): Buffer[] {
    const line: Buffer[] = [];
    let before = `ok {"connections":${connections}`;
    for (const list of STATS_LISTS) {
      line.push(bytes(`${before},"${list}":[`), ...(this.pieces.get(list) ?? []));
      before = ']';
    }
    line.push(bytes(']}\n'));
    return line;
  }
}

/** A text that several sessions read, each at its own pace; kept until the last has read it. */
export class SharedText {
  private readers = 0;

  constructor(
    readonly pieces: readonly Buffer[],
    private readonly unread: () => void,
  ) {}

  open(): void {
    this.readers++;
  }

  close(): void {
    if (--this.readers === 0) this.unread();
  }
}
