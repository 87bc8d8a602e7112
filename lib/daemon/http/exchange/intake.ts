import type { Socket } from 'node:net';
import type { SharedWork, TurnShare } from '../../fairness/turn-share.js';
import { UnfinishedLine } from './unfinished-line.js';
import type { HttpConnection } from './http-connection.js';

/** The parser hands over all requests in what it gets: a dozen or so, in so many bytes. */
const SLICE = 512;
/** What is only a part of a body costs little. */
const BODY_SLICE = 64 * 1024;

/** Node pauses its parser with the socket, and says so here. */
type Parsed = Socket & { readonly _paused?: boolean };

/**
 * Between a socket and Node's parser, which would hand over thousands of pipelined requests in one go. What has to wait
 * stays in the buffer of the socket, which is not read meanwhile.
 */
export class Intake implements SharedWork {
  readonly line = new UnfinishedLine();
  private waits = false;
  private isTurn = false;
  private readonly parse: (chunk: Buffer) => void;

  /** @param socket Node's HTTP server has it already */
  constructor(
    private readonly socket: Socket,
    private readonly connection: HttpConnection,
    private readonly share: TurnShare,
  ) {
    const parse = socket.listeners('data')[0] as (chunk: Buffer) => void;
    this.parse = parse.bind(socket);
    socket.removeListener('data', parse);
    socket.on('data', this.take);
  }

  /** What follows belongs to no request. */
  stop(): void {
    this.socket.removeListener('data', this.take);
  }

  /** SharedWork */
  proceed(): void {
    const { socket } = this;
    this.waits = false;
    if (socket.destroyed || this.isHeldUp) return;
    this.isTurn = true;
    // Emits it as data.
    socket.read();
    this.isTurn = false;
    if (!this.waits && !this.isHeldUp) socket.resume();
  }

  /** Whoever has paused the socket resumes it. */
  private get isHeldUp(): boolean {
    return this.connection.isPaused || (this.socket as Parsed)._paused === true;
  }

  private readonly take = (chunk: Buffer): void => {
    const { socket, connection, share } = this;
    if (connection.isClosing) return;
    const isNew = !this.isTurn;
    let rest = chunk;
    if (!this.isHeldUp && (this.isTurn || share.isFree)) {
      this.isTurn = false;
      const bytes = Math.max(SLICE, Math.min(connection.missing, BODY_SLICE));
      const slice = rest.length <= bytes ? rest : rest.subarray(0, bytes);
      share.do(() => this.parse(slice));
      this.line.add(slice);
      rest = rest.subarray(slice.length);
    }
    if (rest.length === 0 || connection.isClosing || socket.destroyed || socket.listenerCount('data') === 0) return;
    const isHeldUp = this.isHeldUp;
    socket.pause();
    socket.unshift(rest);
    if (isHeldUp || this.waits) return;
    this.waits = true;
    share.wait(this, isNew && rest.length <= SLICE);
  };
}
