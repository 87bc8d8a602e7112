import type { Socket } from 'node:net';
import { afterMicrotasks, type Clock, type Ms } from '../../../common/system.js';
import { encodeRequest } from '../../../protocol/request-encoder.js';
import type { Exchange } from './exchange.js';

/**
 * The sending side of a lane. Requests of one turn of the event loop leave in one write, except that the first one of
 * an idle lane may be sent at once.
 */
export class LaneOutbox {
  /** Time of the last write; before the first one, the time of the connection. */
  lastSend: Ms = 0;
  /** The oldest unsent request. */
  first: Exchange | undefined;
  private text = '';
  private socket: Socket | undefined;
  private referenced = false;

  /**
   * @param sent called after each write
   * @param awaited called when a request waits for the connection
   */
  constructor(
    private readonly clock: Clock,
    private readonly sent: () => void,
    private readonly awaited: () => void,
  ) {}

  /** @param atOnce do not wait for more requests if this is the first of the turn */
  add(exchange: Exchange, atOnce: boolean): void {
    this.text += encodeRequest(exchange.request);
    if (this.first) return;
    this.first = exchange;
    if (!this.socket) return this.awaited();
    if (atOnce) return this.flush();
    // After the microtasks of this turn, which may add requests.
    afterMicrotasks(this.flush);
  }

  /** The socket is connected. */
  open(socket: Socket): void {
    this.socket = socket;
    this.lastSend = this.clock.now();
    this.flush();
  }

  /** Nothing is in flight: the connection does not keep the process alive. */
  idle(): void {
    this.referenced = false;
    this.socket?.unref();
  }

  /** Destroys the socket; it is never half-closed (spec 14.3). */
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
