import type { Socket } from 'node:net';

/** `up`: from the client to the daemon. */
export type Direction = 'up' | 'down';

/** pass; hold: keeps what comes until it passes again; hole: what comes is gone, a FIN or reset too. */
export type Mode = 'pass' | 'hold' | 'hole';

/** How a stream ends that is cut after some bytes: by a reset, a FIN, or without a word. */
export type Cut = 'reset' | 'end' | 'hole';

/** How one direction is treated; what is set holds for what comes from then on. */
export class Traffic {
  mode: Mode = 'pass';
  delayMs = 0;
  /** Up to so much later, at random; the order stays. */
  jitterMs = 0;
  /** 0: as fast as it comes. */
  bytesPerSecond = 0;
  /** Bytes that travel at once, one piece each millisecond; 0: as many as came. */
  pieceBytes = 0;
  /** What becomes of the connection after so many more bytes. */
  cut: { after: number; how: Cut } | undefined = undefined;

  /** As at the start. */
  clear(): void {
    Object.assign(this, new Traffic());
  }

  get isPlain(): boolean {
    return this.delayMs + this.jitterMs + this.bytesPerSecond + this.pieceBytes === 0;
  }
}

/** A piece of a stream on its way; `end` is a FIN, `cut` a reset. */
interface Piece {
  due: number;
  readonly what: Buffer | 'end' | 'cut';
  /** Of what came in one. */
  isPart: boolean;
}

/** Between pieces. */
const SPLIT_MS = 1;

/** One direction of a connection. */
export class Channel {
  private readonly pieces: Piece[] = [];
  private timer: NodeJS.Timeout | undefined;
  private lastDue = 0;
  /** Its stream was cut without a word. */
  private swallows = false;
  /** Bytes are missing: nothing that comes later may pass. */
  broken = false;

  /** @param onCut after the bytes that were still to pass */
  constructor(
    from: Socket,
    private readonly to: Socket,
    private readonly traffic: Traffic,
    private readonly onCut: (how: Cut) => void,
    private readonly random: () => number,
  ) {
    from.on('data', (chunk: Buffer) => this.take(chunk));
    from.on('end', () => this.take('end'));
    from.on('error', () => this.take('cut'));
  }

  /** What comes passes at once. */
  get isClear(): boolean {
    const { mode, isPlain, cut } = this.traffic;
    return (
      mode === 'pass' && isPlain && cut === undefined && this.pieces.length === 0 && !this.swallows && !this.broken
    );
  }

  /** What was kept goes on, whenever it was due, and in pieces no more: a FIN would come behind minutes of single bytes. */
  hurry(): void {
    this.lastDue = 0;
    for (const piece of this.pieces) Object.assign(piece, { due: 0, isPart: false });
    this.flush();
  }

  /** What is due goes on. */
  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    let split = false;
    while (this.pieces.length > 0 && this.traffic.mode === 'pass') {
      // Late timers must not put together what was split.
      const gap = split ? SPLIT_MS : 0;
      const left = Math.max(this.pieces[0]!.due - performance.now(), gap);
      if (left > 0) {
        this.timer = setTimeout(() => this.flush(), left);
        return;
      }
      const { what, isPart } = this.pieces.shift()!;
      this.give(what);
      split = isPart;
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    this.pieces.length = 0;
  }

  private take(what: Piece['what']): void {
    if (this.traffic.mode === 'hole' || this.swallows) {
      this.broken = true;
      return;
    }
    const { cut } = this.traffic;
    if (!cut || typeof what === 'string') return this.forward(what);
    const passing = what.subarray(0, cut.after);
    cut.after -= passing.length;
    if (passing.length > 0) this.forward(passing);
    if (cut.after > 0) return;
    // One connection is cut, the next ones pass.
    this.traffic.cut = undefined;
    this.swallows = true;
    this.broken = cut.how === 'hole';
    this.onCut(cut.how);
  }

  private forward(what: Piece['what']): void {
    const { traffic } = this;
    if (traffic.isPlain && this.pieces.length === 0 && traffic.mode === 'pass') return this.give(what);
    if (typeof what === 'string' || traffic.pieceBytes === 0) this.put(what);
    else for (let i = 0; i < what.length; i += traffic.pieceBytes) this.put(what.subarray(i, i + traffic.pieceBytes));
    this.flush();
  }

  private put(what: Piece['what']): void {
    const { delayMs, jitterMs, bytesPerSecond, pieceBytes } = this.traffic;
    const earliest = performance.now() + delayMs + jitterMs * this.random();
    const takes = bytesPerSecond > 0 ? (what.length * 1000) / bytesPerSecond : pieceBytes > 0 ? SPLIT_MS : 0;
    this.lastDue = Math.max(earliest, this.lastDue) + takes;
    this.pieces.push({ due: this.lastDue, what, isPart: pieceBytes > 0 });
  }

  private give(what: Piece['what']): void {
    if (this.to.destroyed) return;
    if (what === 'end') this.to.end();
    else if (what === 'cut') this.to.resetAndDestroy();
    else this.to.write(what);
  }
}
