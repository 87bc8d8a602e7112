import type { Socket } from 'node:net';
import type { Clock, Ms } from '../../../common/system.js';
import type { HttpConnection } from './http-connection.js';

/** What parsing and serving may take of a turn, all connections together; other clients are served in between. */
const PER_TURN_MS: Ms = 2;
/** The parser hands over all requests in what it gets: some dozens, in so many bytes. */
const SLICE = 1024;

/** Shares the time of each turn of the event loop among connections that have sent something. */
export class IntakeTurns {
  private readonly waiting: Intake[] = [];
  private spentMs: Ms = 0;
  private turning = false;

  constructor(private readonly clock: Clock) {}

  /** Whether one that does not wait may go on in this turn. */
  get isFree(): boolean {
    return this.waiting.length === 0 && this.hasTime;
  }

  get hasTime(): boolean {
    return this.spentMs < PER_TURN_MS;
  }

  do(work: () => void): void {
    const begun = this.clock.now();
    work();
    this.spentMs += this.clock.now() - begun;
    this.awaitTurn();
  }

  wait(intake: Intake): void {
    this.waiting.push(intake);
    this.awaitTurn();
  }

  private awaitTurn(): void {
    if (this.turning) return;
    this.turning = true;
    this.clock.endOfTurn(this.next);
  }

  private readonly next = (): void => {
    this.turning = false;
    this.spentMs = 0;
    for (let left = this.waiting.length; left > 0 && this.hasTime; left--) this.waiting.shift()!.goOn();
    if (this.waiting.length > 0) this.awaitTurn();
  };
}

/** Node pauses its parser with the socket, and says so here. */
type Parsed = Socket & { readonly _paused?: boolean };

/**
 * Between a socket and Node's parser, which would hand over thousands of pipelined requests in one go. What has to wait
 * stays in the buffer of the socket, which is not read meanwhile.
 */
export class Intake {
  private waits = false;
  private isTurn = false;
  private readonly parse: (chunk: Buffer) => void;

  /** @param socket Node's HTTP server has it already */
  constructor(
    private readonly socket: Socket,
    private readonly connection: HttpConnection,
    private readonly turns: IntakeTurns,
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

  goOn(): void {
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

  private get mayParse(): boolean {
    return (this.isTurn ? this.turns.hasTime : this.turns.isFree) && !this.isHeldUp;
  }

  private readonly take = (chunk: Buffer): void => {
    const { socket, connection, turns } = this;
    let rest = chunk;
    while (rest.length > 0 && this.mayParse) {
      if (connection.isClosing || socket.listenerCount('data') === 0) return;
      const slice = rest.length <= SLICE ? rest : rest.subarray(0, SLICE);
      turns.do(() => this.parse(slice));
      rest = rest.subarray(slice.length);
    }
    if (rest.length === 0 || connection.isClosing || socket.destroyed) return;
    const isHeldUp = this.isHeldUp;
    socket.pause();
    socket.unshift(rest);
    if (isHeldUp || this.waits) return;
    this.waits = true;
    turns.wait(this);
  };
}
