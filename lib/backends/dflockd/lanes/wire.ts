import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';

/**
 * Shared by all connections, because received bytes are copied out before the next read: a read allocates nothing and
 * runs no stream machinery.
 */
const INPUT = Buffer.allocUnsafeSlow(64 * 1024);

/** A socket and the receiver of its input. */
export class Wire {
  /** Receives input as byte strings. Set by the current user of the wire. */
  receive: (bytes: string) => void = () => undefined;
  readonly socket: Socket;

  /** @throws Node's error for TLS options that it refuses */
  constructor(host: string, port: number, tls: ConnectionOptions | undefined) {
    const onread = {
      buffer: INPUT,
      callback: (count: number): boolean => {
        this.receive(INPUT.toString('latin1', 0, count));
        return true;
      },
    };
    const options = { host, port, noDelay: true, keepAlive: true, onread };
    this.socket = tls ? connectTls({ ...tls, ...options }) : connectTcp(options);
  }

  /** Sends input to `receive` from now on, and calls `lost` when the connection ends, possibly more than once. */
  attach(receive: (bytes: string) => void, lost: (what: string, cause?: Error) => void): void {
    const { socket } = this;
    this.receive = receive;
    socket.on('end', () => lost('the server closed the connection'));
    socket.on('error', (error) => lost(error.message, error));
    socket.on('close', () => lost('the connection closed'));
  }
}
