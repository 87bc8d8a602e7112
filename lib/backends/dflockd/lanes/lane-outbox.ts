import type { Socket } from 'node:net';
import { afterMicrotasks, type Clock, type Ms } from '../../../common/system.js';
import { encodeRequest } from '../../../protocol/request-encoder.js';
import type { Exchange } from './exchange.js';

/**
 * The sending side of a lane: what is asked in one turn of the event loop leaves in one write, except that the first of a
 * quiet lane may go ahead.
 */
export class LaneOutbox {
  /** When something was sent last, or could have been for the first time. */
  lastSend: Ms = 0;
  /** The oldest request that is not sent yet. */
  first: Exchange | undefined;
  private text = '';
  private socket: Socket | undefined;
  private referenced = false;

  /** @param sent called after each write */
  constructor(
    private readonly clock: Clock,
    private readonly sent: () => void,
  ) {}

  /** @param atOnce does not wait for others, if it is the first of this turn */
  add(exchange: Exchange, atOnce: boolean): void {
    this.text += encodeRequest(exchange.request);
    if (this.first) return;
    this.first = exchange;
    if (atOnce) return this.flush();
    // After the microtasks of this turn: they send too.
    afterMicrotasks(this.flush);
  }

  /** There is a connection. */
  open(socket: Socket): void {
    this.socket = socket;
    this.lastSend = this.clock.now();
    this.flush();
  }

  /** Nothing is outstanding: the connection does not keep the process alive. */
  idle(): void {
    this.referenced = false;
    this.socket?.unref();
  }

  /** Never half-closed (spec 14.3). */
  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }

  private readonly flush = (): void => {
    const { socket, first } = this;
    if (!socket || !first) return;
    const now = this.clock.now();
    for (let x: Exchange | undefined = first; x; x = x.next) {
      x.sentAt = now;
      x.dueAt = now + x.patience;
    }
    this.first = undefined;
    this.lastSend = now;
    const { text } = this;
    this.text = '';
    if (!this.referenced) {
      this.referenced = true;
      socket.ref();
    }
    socket.write(text, 'latin1');
    this.sent();
  };
}
